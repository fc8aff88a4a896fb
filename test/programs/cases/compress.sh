# shellcheck shell=bash disable=SC2034
case_about="xz, zstd, gzip and bzip2, with threads where they have them, there and back"
case_quick=yes
case_needs=(xz-utils zstd gzip bzip2 tar)
case_programs=(xz zstd gzip bzip2 tar)
case_timeout=200

prepare() {
	local kilobytes=40000
	[[ $QUICK == yes ]] && kilobytes=8000
	# Text that repeats itself, and then less and less.
	awk -v n="$((kilobytes * 10))" 'BEGIN {
		for (i = 0; i < n; i++) {
			s = (s * 1103515245 + 12345) % 2147483648
			printf "%d line %d of the text %x%s", i % 1000, i, s,
				i % 3 ? "\n" : " and more words here\n"
		}
	}' | head -c "${kilobytes}K" >text
	sha256sum <text >sum
}

there_and_back() {
	local name=$1 packed=$2
	shift 2
	subject "$@" -c "$INPUT/text" >"$packed"
	subject "$1" -d -c "$packed" | sha256sum >"$name.sum"
	cmp "$INPUT/sum" "$name.sum" || die "$name does not give back what it took"
	sha256sum <"$packed" >"out/$name"
}

run_round() {
	there_and_back xz text.xz xz -T4 -3 --block-size=1MiB
	there_and_back zstd text.zst zstd -q -T4 -12
	there_and_back zstd-long text-long.zst zstd -q -T2 -3 --long=25
	there_and_back gzip text.gz gzip -6 -n
	there_and_back bzip2 text.bz2 bzip2 -9
	subject zstd -q --train -B4096 "$INPUT/text" -o dictionary
	sha256sum <dictionary >out/dictionary
	subject tar -C "$INPUT" --sort=name --owner=0 --group=0 --mtime=@0 -I 'xz -T2 -1' \
		-cf input.tar.xz text sum
	subject tar -tvf input.tar.xz >out/tar
}
