/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words for the feature bits and the config space of each type: virtio 1.3, section 5.x.3
 * and 5.x.4. Every table ends with an entry without a name.
 */
#include "types.h"

#define END       \
	{         \
		0 \
	}

const struct feature_name features_none[] = {END};

const struct feature_name features_net[] = {
	{0, "csum"},
	{1, "guest-csum"},
	{2, "ctrl-guest-offloads"},
	{3, "mtu"},
	{5, "mac"},
	{6, "gso"},
	{7, "guest-tso4"},
	{8, "guest-tso6"},
	{9, "guest-ecn"},
	{10, "guest-ufo"},
	{11, "host-tso4"},
	{12, "host-tso6"},
	{13, "host-ecn"},
	{14, "host-ufo"},
	{15, "mrg-rxbuf"},
	{16, "status"},
	{17, "ctrl-vq"},
	{18, "ctrl-rx"},
	{19, "ctrl-vlan"},
	{20, "ctrl-rx-extra"},
	{21, "guest-announce"},
	{22, "mq"},
	{23, "ctrl-mac-addr"},
	{50, "device-stats"},
	{51, "hash-tunnel"},
	{52, "vq-notf-coal"},
	{53, "notf-coal"},
	{54, "guest-uso4"},
	{55, "guest-uso6"},
	{56, "host-uso"},
	{57, "hash-report"},
	{59, "guest-hdrlen"},
	{60, "rss"},
	{61, "rsc-ext"},
	{62, "standby"},
	{63, "speed-duplex"},
	END,
};

const struct feature_name features_blk[] = {
	{0, "barrier"},
	{1, "size-max"},
	{2, "seg-max"},
	{4, "geometry"},
	{5, "read-only"},
	{6, "blk-size"},
	{7, "scsi"},
	{9, "flush"},
	{10, "topology"},
	{11, "config-wce"},
	{12, "mq"},
	{13, "discard"},
	{14, "write-zeroes"},
	{15, "lifetime"},
	{16, "secure-erase"},
	{17, "zoned"},
	END,
};

const struct feature_name features_console[] = {
	{0, "size"},
	{1, "multiport"},
	{2, "emergency-write"},
	END,
};

const struct feature_name features_scsi[] = {
	{0, "inout"}, {1, "hotplug"}, {2, "change"}, {3, "t10-pi"}, END,
};

const struct feature_name features_rtc[] = {{0, "alarm"}, END};
const struct feature_name features_vsock[] = {{0, "stream"}, {1, "seqpacket"}, END};
const struct feature_name features_sound[] = {{0, "controls"}, END};
const struct feature_name features_fs[] = {{0, "notification"}, END};
const struct feature_name features_scmi[] = {{0, "p2a-channels"}, {1, "shared-memory"}, END};
const struct feature_name features_i2c[] = {{0, "zero-length-request"}, END};

const struct feature_name features_can[] = {
	{0, "classic"}, {1, "fd"}, {2, "rtr-frames"}, {3, "late-tx-ack"}, END,
};

const struct feature_name features_bt[] = {
	{0, "vendor-hci"}, {1, "msft-ext"}, {2, "aosp-ext"}, {3, "config-v2"}, END,
};

const struct feature_name features_gpio[] = {{0, "irq"}, END};

const struct config_field fields_none[] = {END};

const struct config_field fields_net[] = {
	{"mac", 0, 6, 5, FIELD_MAC},
	{"status", 6, 2, 16, FIELD_HEX},
	{"max_virtqueue_pairs", 8, 2, 22, FIELD_NUMBER},
	{"mtu", 10, 2, 3, FIELD_NUMBER},
	{"speed", 12, 4, 63, FIELD_NUMBER},
	{"duplex", 16, 1, 63, FIELD_NUMBER},
	{"rss_max_key_size", 17, 1, 60, FIELD_NUMBER},
	{"rss_max_indirection_table_length", 18, 2, 60, FIELD_NUMBER},
	{"supported_hash_types", 20, 4, 60, FIELD_HEX},
	END,
};

const struct config_field fields_blk[] = {
	{"capacity", 0, 8, FIELD_ALWAYS, FIELD_SECTORS},
	{"size_max", 8, 4, 1, FIELD_NUMBER},
	{"seg_max", 12, 4, 2, FIELD_NUMBER},
	{"cylinders", 16, 2, 4, FIELD_NUMBER},
	{"heads", 18, 1, 4, FIELD_NUMBER},
	{"sectors", 19, 1, 4, FIELD_NUMBER},
	{"blk_size", 20, 4, 6, FIELD_NUMBER},
	{"physical_block_exp", 24, 1, 10, FIELD_NUMBER},
	{"alignment_offset", 25, 1, 10, FIELD_NUMBER},
	{"min_io_size", 26, 2, 10, FIELD_NUMBER},
	{"opt_io_size", 28, 4, 10, FIELD_NUMBER},
	{"writeback", 32, 1, 11, FIELD_NUMBER},
	{"num_queues", 34, 2, 12, FIELD_NUMBER},
	{"max_discard_sectors", 36, 4, 13, FIELD_NUMBER},
	{"max_discard_seg", 40, 4, 13, FIELD_NUMBER},
	{"discard_sector_alignment", 44, 4, 13, FIELD_NUMBER},
	{"max_write_zeroes_sectors", 48, 4, 14, FIELD_NUMBER},
	{"max_write_zeroes_seg", 52, 4, 14, FIELD_NUMBER},
	{"write_zeroes_may_unmap", 56, 1, 14, FIELD_NUMBER},
	{"max_secure_erase_sectors", 60, 4, 16, FIELD_NUMBER},
	{"max_secure_erase_seg", 64, 4, 16, FIELD_NUMBER},
	{"secure_erase_sector_alignment", 68, 4, 16, FIELD_NUMBER},
	{"zone_sectors", 72, 4, 17, FIELD_NUMBER},
	{"max_open_zones", 76, 4, 17, FIELD_NUMBER},
	{"max_active_zones", 80, 4, 17, FIELD_NUMBER},
	{"max_append_sectors", 84, 4, 17, FIELD_NUMBER},
	{"write_granularity", 88, 4, 17, FIELD_NUMBER},
	{"zone_model", 92, 1, 17, FIELD_NUMBER},
	END,
};

const struct config_field fields_console[] = {
	{"cols", 0, 2, 0, FIELD_NUMBER},
	{"rows", 2, 2, 0, FIELD_NUMBER},
	{"max_nr_ports", 4, 4, 1, FIELD_NUMBER},
	END,
};

const struct config_field fields_scsi[] = {
	{"num_queues", 0, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"seg_max", 4, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"max_sectors", 8, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"cmd_per_lun", 12, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"event_info_size", 16, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"sense_size", 20, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"cdb_size", 24, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"max_channel", 28, 2, FIELD_ALWAYS, FIELD_NUMBER},
	{"max_target", 30, 2, FIELD_ALWAYS, FIELD_NUMBER},
	{"max_lun", 32, 4, FIELD_ALWAYS, FIELD_NUMBER},
	END,
};

const struct config_field fields_input[] = {
	{"select", 0, 1, FIELD_ALWAYS, FIELD_NUMBER},
	{"subsel", 1, 1, FIELD_ALWAYS, FIELD_NUMBER},
	{"size", 2, 1, FIELD_ALWAYS, FIELD_NUMBER},
	END,
};

static const struct feature_name words_property[] = {
	{0, "pointer"},
	{1, "direct"},
	{2, "buttonpad"},
	{3, "semi-mt"},
	{4, "topbuttonpad"},
	{5, "pointing-stick"},
	{6, "accelerometer"},
	{7, "pressurepad"},
	END,
};

/* Codes of event types: <linux/input-event-codes.h>, and its words. */
static const struct feature_name words_rel[] = {
	{0, "x"},
	{1, "y"},
	{2, "z"},
	{3, "rx"},
	{4, "ry"},
	{5, "rz"},
	{6, "hwheel"},
	{7, "dial"},
	{8, "wheel"},
	{9, "misc"},
	{11, "wheel-hi-res"},
	{12, "hwheel-hi-res"},
	END,
};

static const struct feature_name words_abs[] = {
	{0, "x"},
	{1, "y"},
	{2, "z"},
	{3, "rx"},
	{4, "ry"},
	{5, "rz"},
	{6, "throttle"},
	{7, "rudder"},
	{8, "wheel"},
	{9, "gas"},
	{10, "brake"},
	{16, "hat0x"},
	{17, "hat0y"},
	{18, "hat1x"},
	{19, "hat1y"},
	{20, "hat2x"},
	{21, "hat2y"},
	{22, "hat3x"},
	{23, "hat3y"},
	{24, "pressure"},
	{25, "distance"},
	{26, "tilt-x"},
	{27, "tilt-y"},
	{28, "tool-width"},
	{32, "volume"},
	{33, "profile"},
	{40, "misc"},
	{47, "mt-slot"},
	{48, "mt-touch-major"},
	{49, "mt-touch-minor"},
	{50, "mt-width-major"},
	{51, "mt-width-minor"},
	{52, "mt-orientation"},
	{53, "mt-position-x"},
	{54, "mt-position-y"},
	{55, "mt-tool-type"},
	{56, "mt-blob-id"},
	{57, "mt-tracking-id"},
	{58, "mt-pressure"},
	{59, "mt-distance"},
	{60, "mt-tool-x"},
	{61, "mt-tool-y"},
	END,
};

static const struct feature_name words_switch[] = {
	{0, "lid"},
	{1, "tablet-mode"},
	{2, "headphone-insert"},
	{3, "rfkill-all"},
	{4, "microphone-insert"},
	{5, "dock"},
	{6, "lineout-insert"},
	{7, "jack-physical-insert"},
	{8, "videoout-insert"},
	{9, "camera-lens-cover"},
	{10, "keypad-slide"},
	{11, "front-proximity"},
	{12, "rotate-lock"},
	{13, "linein-insert"},
	{14, "mute-device"},
	{15, "pen-inserted"},
	{16, "machine-cover"},
	END,
};

static const struct feature_name words_led[] = {
	{0, "num-lock"},
	{1, "caps-lock"},
	{2, "scroll-lock"},
	{3, "compose"},
	{4, "kana"},
	{5, "sleep"},
	{6, "suspend"},
	{7, "mute"},
	{8, "misc"},
	{9, "mail"},
	{10, "charging"},
	END,
};

static const struct feature_name words_sound[] = {
	{0, "click"},
	{1, "bell"},
	{2, "tone"},
	END,
};

/* Selectors: virtio 1.3, 5.8.4. Keys are too many for words. */
const struct type_detail details_input[] = {
	{"name", DETAIL_TEXT, {0x01, 0}, "input/*/name", NULL},
	{"serial", DETAIL_TEXT, {0x02, 0}, "input/*/uniq", NULL},
	{"ids", DETAIL_IDS, {0x03, 0}, "input/*/id", NULL},
	{"properties", DETAIL_WORDS, {0x10, 0}, "input/*/properties", words_property},
	{"keys", DETAIL_COUNT, {0x11, 0x01}, "input/*/capabilities/key", NULL},
	{"relative_axes", DETAIL_WORDS, {0x11, 0x02}, "input/*/capabilities/rel", words_rel},
	{"absolute_axes", DETAIL_WORDS, {0x11, 0x03}, "input/*/capabilities/abs", words_abs},
	{"switches", DETAIL_WORDS, {0x11, 0x05}, "input/*/capabilities/sw", words_switch},
	{"leds", DETAIL_WORDS, {0x11, 0x11}, "input/*/capabilities/led", words_led},
	{"sounds", DETAIL_WORDS, {0x11, 0x12}, "input/*/capabilities/snd", words_sound},
	END,
};

const struct config_field fields_vsock[] = {
	{"guest_cid", 0, 8, FIELD_ALWAYS, FIELD_NUMBER},
	END,
};

const struct config_field fields_sound[] = {
	{"jacks", 0, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"streams", 4, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"chmaps", 8, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"controls", 12, 4, 0, FIELD_NUMBER},
	END,
};

const struct config_field fields_fs[] = {
	{"tag", 0, 36, FIELD_ALWAYS, FIELD_TEXT},
	{"num_request_queues", 36, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"notify_buf_size", 40, 4, 0, FIELD_NUMBER},
	END,
};

const struct config_field fields_can[] = {
	{"status", 0, 2, FIELD_ALWAYS, FIELD_HEX},
	END,
};

const struct config_field fields_bt[] = {
	{"type", 0, 1, FIELD_ALWAYS, FIELD_NUMBER},
	{"vendor", 1, 2, 0, FIELD_NUMBER},
	{"msft_opcode", 3, 2, 1, FIELD_HEX},
	END,
};

const struct config_field fields_gpio[] = {
	{"ngpio", 0, 2, FIELD_ALWAYS, FIELD_NUMBER},
	{"gpio_names_size", 4, 4, FIELD_ALWAYS, FIELD_NUMBER},
	END,
};

const struct config_field fields_spi[] = {
	{"cs_max_number", 0, 1, FIELD_ALWAYS, FIELD_NUMBER},
	{"cs_change_supported", 1, 1, FIELD_ALWAYS, FIELD_NUMBER},
	{"tx_nbits_supported", 2, 1, FIELD_ALWAYS, FIELD_HEX},
	{"rx_nbits_supported", 3, 1, FIELD_ALWAYS, FIELD_HEX},
	{"bits_per_word_mask", 4, 4, FIELD_ALWAYS, FIELD_HEX},
	{"mode_func_supported", 8, 4, FIELD_ALWAYS, FIELD_HEX},
	{"max_freq_hz", 12, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"max_word_delay_ns", 16, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"max_cs_setup_ns", 20, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"max_cs_hold_ns", 24, 4, FIELD_ALWAYS, FIELD_NUMBER},
	{"max_cs_inactive_ns", 28, 4, FIELD_ALWAYS, FIELD_NUMBER},
	END,
};
