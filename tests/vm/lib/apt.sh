# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Packages of any Debian suite, from the mirror that this machine uses already.
# Nothing here touches the machine's own apt state: each suite has a private
# one in the cache.

# Of a source's options, those that decide whether it can be used: how it is signed.
readonly KEPT_OPTIONS='signed-by|trusted|check-valid-until'

# Prints "URI|OPTION=VALUE...|SUITE..." for each binary source in an apt directory.
configured_sources() {
	local dir=$1

	# shellcheck disable=SC2016
	find "$dir/sources.list" "$dir/sources.list.d" -maxdepth 1 -type f \
		-name '*.list' -print0 2>/dev/null |
		xargs -0r awk -v kept="^($KEPT_OPTIONS)=" '
			$1 == "deb" {
				options = ""
				if (match($0, /\[[^]]*\]/)) {
					n = split(substr($0, RSTART + 1, RLENGTH - 2), option, " ")
					for (i = 1; i <= n; i++)
						if (tolower(option[i]) ~ kept)
							options = options (options ? " " : "") option[i]
					$0 = substr($0, 1, RSTART - 1) substr($0, RSTART + RLENGTH)
				}
				print $2 "|" options "|" $3
			}'
	# shellcheck disable=SC2016
	find "$dir/sources.list.d" -maxdepth 1 -type f -name '*.sources' -print0 2>/dev/null |
		xargs -0r awk -v kept="^($KEPT_OPTIONS)$" '
			function flush() {
				if (types ~ /(^| )deb( |$)/ && enabled !~ /^(no|false|without|off|disable|0)$/)
					for (i = 1; i <= split(uris, uri, " "); i++)
						print uri[i] "|" options "|" suites
				types = uris = suites = enabled = field = options = ""
			}
			FNR == 1 { flush() }
			/^#/ { next }
			/^[[:space:]]*$/ { flush(); next }
			/^[^[:space:]]/ {
				field = tolower(substr($0, 1, index($0, ":") - 1))
				$0 = substr($0, index($0, ":") + 1)
				if (field ~ kept)
					options = options (options ? " " : "") field "="
			}
			{
				gsub(/^[[:space:]]+|[[:space:]]+$/, "")
				if (field == "types") types = types " " $0
				if (field == "uris") uris = uris " " $0
				if (field == "suites") suites = suites " " $0
				if (field == "enabled") enabled = tolower($0)
				# Of a key that is written out, the first line tells it.
				if (field ~ kept && options ~ /=$/) { gsub(/ /, "-"); options = options $0 }
			}
			END { flush() }'
}

# How likely a source with a Debian release's name and such options is Debian's, 0 the most:
# other vendors use the names too, with keys of their own.
source_rank() {
	case " $1" in
	*" signed-by="*/debian-archive*) echo 0 ;;
	*" signed-by="*) echo 2 ;;
	*) echo 1 ;;
	esac
}

# The archive that has Debian itself, in an apt directory: "URI|OPTION=VALUE...". Security and
# update suites have other names.
debian_mirror() {
	local uri options suites suite rank

	if [[ ${VLOOP_MIRROR:-} ]]; then
		printf '%s|\n' "$VLOOP_MIRROR"
		return
	fi
	while IFS='|' read -r uri options suites; do
		for suite in $suites; do
			case $suite in
			bookworm | trixie | forky | sid | oldstable | stable | testing | unstable)
				rank=$(source_rank "$options")
				printf '%s %s|%s\n' "$rank" "$uri" "$options"
				;;
			esac
		done
	done < <(configured_sources "$1") | LC_ALL=C sort -s -n -k 1,1 | sed -n '1s/^[0-9] //p' | grep . ||
		die "no Debian mirror in apt's configuration; name one with VLOOP_MIRROR=URI"
}

# Where released suites get their security updates from, likewise, or nothing. A mirror that is
# named by hand says nothing about them.
security_mirror() {
	local uri options suites

	[[ ${VLOOP_MIRROR:-} ]] || while IFS='|' read -r uri options suites; do
		[[ $suites == *-security* ]] || continue
		printf '%s|%s\n' "$uri" "$options"
		return
	done < <(configured_sources "$1")
}

# apt_in SUITE PROGRAM ARG...: apt-get or apt-cache on the suite's private state.
apt_in() {
	local dir=$CACHE/apt/$1 program=$2

	shift 2
	"$program" -q -c "$VM_DIR/lib/apt.conf" \
		-o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State="$dir" -o Dir::State::Lists="$dir/lists" \
		-o Dir::State::Status="$dir/status" -o Dir::Cache="$dir/cache" \
		-o APT::Architecture=amd64 -o APT::Architectures::=amd64 \
		-o APT::Sandbox::User="$(id -un)" -o APT::Get::List-Cleanup=no \
		"$@"
}

# source_line MIRROR SUITE: MIRROR is as debian_mirror() prints it.
source_line() {
	local uri=${1%%|*} option options="" keyring=""

	for option in ${1#*|}; do
		case $option in
		signed-by=*) keyring=${option#*=} ;;
		*) options+=" $option" ;;
		esac
	done
	[[ $keyring == /* ]] || keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[[ -r $keyring ]] || keyring=${keyring%.gpg}.pgp
	[[ -r $keyring ]] || die "missing on this machine: package debian-archive-keyring"
	printf 'deb [arch=amd64 signed-by=%s%s] %s %s main\n' "$keyring" "$options" "$uri" "$2"
}

# The suite as a machine of a user has it: with security updates, once it is released.
source_lines() {
	local mirror security

	mirror=$(debian_mirror /etc/apt) || exit
	source_line "$mirror" "$1"
	case $1 in
	bookworm | trixie) ;;
	*) return ;;
	esac
	security=$(security_mirror /etc/apt)
	[[ -z $security ]] || source_line "$security" "$1-security"
}

# Fetches the suite's package lists, once per run.
declare -A refreshed_suites=()
refresh_suite() {
	local suite=$1 dir=$CACHE/apt/$1

	[[ ${refreshed_suites[$suite]:-} ]] && return
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	source_lines "$suite" >"$dir/sources.list"
	say "reading the package lists of $suite"
	# Without the option it is content with what it had, or with nothing.
	apt_in "$suite" apt-get update --error-on=any >"$dir/update.log" 2>&1 ||
		{ tail -n 5 "$dir/update.log" >&2; die "apt cannot read $suite from the mirror"; }
	refreshed_suites[$suite]=1
}

# What the machine's own configuration says about reaching the mirror.
apt_transport_options() {
	apt-config dump | grep -iE '^Acquire::(http|https|ftp|Check-|Retries|ForceIPv)' || true
}

# The newest linux-image package of a release like 6.12 in a suite, or nothing.
newest_image_package() {
	local suite=$1 release=${2//./\\.}

	apt_in "$suite" apt-cache pkgnames "linux-image-$2" |
		grep -E "^linux-image-$release(\.[0-9]+)*(-[0-9]+|\+deb[0-9]+)*-amd64$" |
		sort -V | tail -n 1 || true
}

# What installing a package would bring, of the packages whose name matches.
packages_with() {
	local suite=$1 package=$2 pattern=$3

	apt_in "$suite" apt-get install -s --no-install-recommends "$package" |
		awk '$1 == "Inst" { print $2 }' | grep -E "$pattern" | sort -u
}

# Downloads packages into the current directory.
download_packages() {
	local suite=$1 log=$CACHE/apt/$1/download.log

	shift
	apt_in "$suite" apt-get download "$@" >"$log" 2>&1 ||
		{ tail -n 5 "$log" >&2; die "cannot download $* from $suite"; }
}
