# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Packages of any Debian suite, from the mirror that this machine uses already.
# Nothing here touches the machine's own apt state: each suite has a private
# one in the cache.

# Prints "URI suite..." for each binary source in an apt directory.
configured_sources() {
	local dir=$1

	find "$dir/sources.list" "$dir/sources.list.d" -maxdepth 1 -type f \
		-name '*.list' -print0 2>/dev/null |
		xargs -0r sed -nE 's/^[[:space:]]*deb[[:space:]]+(\[[^]]*\][[:space:]]*)?([^[:space:]]+)[[:space:]]+([^[:space:]]+).*/\2 \3/p'
	# shellcheck disable=SC2016
	find "$dir/sources.list.d" -maxdepth 1 -type f -name '*.sources' -print0 2>/dev/null |
		xargs -0r awk '
			function flush() {
				if (types ~ /(^| )deb( |$)/ && enabled != "no")
					for (i = 1; i <= split(uris, uri, " "); i++)
						print uri[i], suites
				types = uris = suites = enabled = field = ""
			}
			FNR == 1 { flush() }
			/^#/ { next }
			/^[[:space:]]*$/ { flush(); next }
			/^[^[:space:]]/ {
				field = tolower(substr($0, 1, index($0, ":") - 1))
				$0 = substr($0, index($0, ":") + 1)
			}
			{
				gsub(/^[[:space:]]+|[[:space:]]+$/, "")
				if (field == "types") types = types " " $0
				if (field == "uris") uris = uris " " $0
				if (field == "suites") suites = suites " " $0
				if (field == "enabled") enabled = tolower($0)
			}
			END { flush() }'
}

# The archive that has Debian itself, in an apt directory: the first source with a plain release
# name. Security and update suites, and other vendors' archives, have others.
debian_mirror() {
	local uri suites suite

	if [[ ${VLOOP_MIRROR:-} ]]; then
		printf '%s\n' "$VLOOP_MIRROR"
		return
	fi
	while read -r uri suites; do
		for suite in $suites; do
			case $suite in
			bookworm | trixie | forky | sid | oldstable | stable | testing | unstable)
				printf '%s\n' "$uri"
				return
				;;
			esac
		done
	done < <(configured_sources "$1")
	die "no Debian mirror in apt's configuration; name one with VLOOP_MIRROR=URI"
}

# Where released suites get their security updates from, or nothing. A mirror that is named by hand
# says nothing about them.
security_mirror() {
	local uri suites

	[[ ${VLOOP_MIRROR:-} ]] || while read -r uri suites; do
		[[ $suites == *-security* ]] || continue
		printf '%s\n' "$uri"
		return
	done < <(configured_sources "$1")
}

# apt_in SUITE PROGRAM ARG...: apt-get or apt-cache on the suite's private state.
apt_in() {
	local dir=$CACHE/apt/$1 program=$2

	shift 2
	"$program" -q \
		-o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State="$dir" -o Dir::State::Lists="$dir/lists" \
		-o Dir::State::Status="$dir/status" -o Dir::Cache="$dir/cache" \
		-o APT::Architecture=amd64 -o APT::Architectures::=amd64 \
		-o APT::Sandbox::User="$(id -un)" -o APT::Get::List-Cleanup=no \
		-o APT::Update::Post-Invoke-Success::= \
		"$@"
}

# The suite as a machine of a user has it: with security updates, once it is released.
source_lines() {
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror security

	[[ -r $keyring ]] || keyring=${keyring%.gpg}.pgp
	[[ -r $keyring ]] || die "missing on this machine: package debian-archive-keyring"
	mirror=$(debian_mirror /etc/apt) || exit
	printf 'deb [arch=amd64 signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$1"
	case $1 in
	bookworm | trixie) ;;
	*) return ;;
	esac
	security=$(security_mirror /etc/apt)
	[[ -z $security ]] ||
		printf 'deb [arch=amd64 signed-by=%s] %s %s-security main\n' "$keyring" "$security" "$1"
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
	apt_in "$suite" apt-get update >"$dir/update.log" 2>&1 ||
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
