# SPDX-License-Identifier: BSD-3-Clause
"""What is compared, in which cases, and what the results have to reach."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Peer:
    text: str
    # The peer whose backing is the same, or nearest to it, for the ratios.
    reference: str


@dataclass(frozen=True)
class Case:
    text: str
    fio: tuple


@dataclass(frozen=True)
class Mode:
    unit: str
    # What a ratio divides: the higher, the better, or the lower, the better.
    higher_is_better: bool
    ramp_ms: int
    run_ms: int
    vm_options: tuple = ()


@dataclass(frozen=True)
class Target:
    mode: str
    case: str
    peer: str
    limit: float
    # The limit is for the ratio to this peer, else for the figure itself.
    against: str = field(default="")


FLOOR = "null_blk"

PEERS = {
    "vloop-qsd-null": Peer("ours + qemu-storage-daemon, null-co", "vduse-qsd-null"),
    "vduse-qsd-null": Peer("VDUSE + qemu-storage-daemon, null-co", "vduse-qsd-null"),
    "vloop-qsd-zero": Peer("ours + qemu-storage-daemon, null-co read-zeroes", "vduse-qsd-zero"),
    "vduse-qsd-zero": Peer("VDUSE + qemu-storage-daemon, null-co read-zeroes", "vduse-qsd-zero"),
    "vloop-qsd-file": Peer("ours + qemu-storage-daemon, tmpfs file", "vduse-qsd-file"),
    "vduse-qsd-file": Peer("VDUSE + qemu-storage-daemon, tmpfs file", "vduse-qsd-file"),
    "vloop-blk-null": Peer("ours + vloop-blk --null", "vduse-qsd-null"),
    "vloop-blk-file": Peer("ours + vloop-blk, tmpfs file", "vduse-qsd-file"),
    "nbd": Peer("nbd + nbdkit memory", "vduse-qsd-zero"),
    "loop": Peer("loop on a tmpfs file", "vduse-qsd-file"),
    "brd": Peer("brd, a RAM disk in the kernel", "vduse-qsd-zero"),
    "null_blk": Peer("null_blk, a null disk in the kernel (the floor)", "vduse-qsd-null"),
}

QUICK_PEERS = ("vloop-qsd-null", "vduse-qsd-null", "vloop-blk-null", "null_blk")

CASES = {
    "randread-4k-qd1": Case("4k random read, QD1",
                            ("--rw=randread", "--bs=4k", "--iodepth=1")),
    "randread-4k-qd32": Case("4k random read, QD32",
                             ("--rw=randread", "--bs=4k", "--iodepth=32")),
    "randread-4k-qd32-b16": Case("4k random read, QD32, submitted 16 at a time",
                                 ("--rw=randread", "--bs=4k", "--iodepth=32",
                                  "--iodepth_batch_submit=16",
                                  "--iodepth_batch_complete_min=1",
                                  "--iodepth_batch_complete_max=16")),
    # Without a maximum fio takes one completion at a time, finds its depth used up
    # and submits one: sixteen at a time only once.
    "randread-4k-qd32-b16min": Case("4k random read, QD32, batch options without a maximum",
                                    ("--rw=randread", "--bs=4k", "--iodepth=32",
                                     "--iodepth_batch_submit=16",
                                     "--iodepth_batch_complete_min=1")),
    "randwrite-4k-qd32": Case("4k random write, QD32",
                              ("--rw=randwrite", "--bs=4k", "--iodepth=32")),
    "read-128k-qd4": Case("128k sequential read, QD4",
                          ("--rw=read", "--bs=128k", "--iodepth=4")),
    "read-1m-qd4": Case("1M sequential read, QD4",
                        ("--rw=read", "--bs=1m", "--iodepth=4")),
    "write-1m-qd4": Case("1M sequential write, QD4",
                         ("--rw=write", "--bs=1m", "--iodepth=4")),
}

MODES = {
    # A virtual CPU that halts takes long to wake under emulation; polling keeps
    # that out of the comparison.
    "timed": Mode("I/O per second", True, 1000, 4000,
                  ("--cpus", "2", "--append", "idle=poll")),
    "counted": Mode("instructions per I/O", False, 100, 250, ("--counted",)),
}


def targets():
    """The limits of the project's plan for speed."""
    result = []
    for case, limit in (("randread-4k-qd1", 1.7), ("randread-4k-qd32", 1.6),
                        ("read-128k-qd4", 2.0), ("read-1m-qd4", 1.25),
                        ("write-1m-qd4", 1.3)):
        for backing in ("null", "zero"):
            result.append(Target("timed", case, f"vloop-qsd-{backing}", limit,
                                 f"vduse-qsd-{backing}"))
    for case in CASES:
        limit = 0.9 if "4k" in case else 0.95
        result.append(Target("counted", case, "vloop-qsd-null", limit, "vduse-qsd-null"))
    for case, limit in (("randread-4k-qd1", 25000), ("randread-4k-qd32-b16", 12500),
                        ("randread-4k-qd32-b16min", 12500), ("read-128k-qd4", 60000),
                        ("read-1m-qd4", 260000)):
        result.append(Target("counted", case, "vloop-blk-null", limit))
    return result


# Limits of what a device costs apart from its requests.
ATTACH_LIMIT_MS = 300
KERNEL_LIMIT_KIB = 1024
ADAPTER_LIMIT_KIB = 4096
