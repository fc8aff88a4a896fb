# shellcheck shell=bash
# The Debian packages of the cases: what is missing, and how to install it.  Sourced by run.

# Packages that the scripts here use themselves.
harness_packages=(gcc libc6-dev diffutils)

# case_field FILE VARIABLE: what a case says of itself.
case_field() (
	set +u
	# shellcheck source=/dev/null
	source "$1"
	declare -n value=$2
	echo "${value[*]}"
)

is_installed() {
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# missing_packages NEED...: a need is "package", or "package=command" where the command, wherever
# it comes from, is as good.
missing_packages() {
	local need package command
	for need in "$@"; do
		package=${need%%=*}
		command=${need#*=}
		if [[ $need == *=* ]] && command -v "$command" >/dev/null; then
			continue
		fi
		is_installed "$package" || echo "$package"
	done
}

# needs_of CASE-FILE...: what these cases and the scripts here need.
needs_of() {
	local file
	printf '%s\n' "${harness_packages[@]}"
	for file in "$@"; do
		case_field "$file" case_needs | tr ' ' '\n'
	done
}

# Packages that bring a server must not start it: the cases start their own.
forbid_services() {
	if [[ ! -e /usr/sbin/policy-rc.d ]]; then
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
		chmod 755 /usr/sbin/policy-rc.d
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
}

apt_install() (
	[[ $(id -u) == 0 ]] || {
		echo "missing packages, and only root can install them: $*" >&2
		return 1
	}
	forbid_services
	export DEBIAN_FRONTEND=noninteractive
	echo "installing: $*"
	apt-get -q -o DPkg::Lock::Timeout=600 update &&
		apt-get -q -y -o DPkg::Lock::Timeout=600 install --no-install-recommends "$@"
)

# install_for CASE-FILE...: as for needs_of.
install_for() {
	local packages
	mapfile -t packages < <(needs_of "$@" | sort -u)
	mapfile -t packages < <(missing_packages "${packages[@]}")
	((${#packages[@]} == 0)) || apt_install "${packages[@]}" >&2
}
