# shellcheck shell=bash disable=SC2034
case_about="git clone, gc, log, blame, merge, fsck on a history of thousands of commits"
case_quick=yes
case_needs=(git python3)
case_programs=(git)
case_timeout=400

prepare() {
	local commits=3000
	[[ $QUICK == yes ]] && commits=800
	python3 "$DATA/history.py" "$TREE" "$commits" >history
}

# What the repository holds, whatever its packs look like.
objects_of() {
	subject git -C "$1" cat-file --batch-all-objects --batch-check | LC_ALL=C sort
}

settings() {
	subject git config --global safe.directory '*'
	subject git config --global user.name Tester
	subject git config --global user.email tester@example.org
	subject git config --global init.defaultBranch main
	subject git config --global pack.threads 4
	subject git config --global gc.auto 0
	export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
	export GIT_CONFIG_NOSYSTEM=1
}

# The checkout's own history, where there is one.
own_repository() {
	if subject git -C "$TREE" rev-parse --verify -q HEAD >/dev/null 2>&1; then
		subject git clone -q --no-local --bare "$TREE" own.git
		subject git -C own.git gc -q --aggressive
		subject git -C own.git fsck --full --strict 2>&1
		subject git -C own.git log -p --stat --all >out/own-log
		subject git -C own.git rev-list --objects --all | LC_ALL=C sort >out/own-objects
	fi
}

change_and_merge() {
	subject git -C work checkout -q -b side HEAD~20
	echo side >work/side.txt
	subject git -C work add side.txt
	subject git -C work commit -q -m 'A side branch'
	subject git -C work merge -q -m 'Merge main' origin/main
	subject git -C work rebase -q HEAD~1 2>&1
	subject git -C work stash list
	subject git -C work log --graph --oneline -n 40
	subject git -C work status --short --branch
}

run_round() {
	settings
	subject git init -q --bare source.git
	subject git -C source.git fast-import --quiet <"$INPUT/history"
	subject git clone -q --no-local source.git work 2>&1
	subject git -C work log --stat --date=iso >out/log-stat
	subject git -C work log -p -M -C --find-copies-harder -n 60 >out/log-patch
	subject git -C work blame file-000 >out/blame
	subject git -C work grep -n -i -E 'return|static' HEAD~50 >out/grep || true
	subject git -C work shortlog -sne HEAD >out/shortlog
	change_and_merge >out/merge
	subject git -C source.git gc -q --aggressive --prune=now
	subject git -C source.git fsck --full --strict >out/fsck 2>&1
	subject git -C work repack -a -d -f -q --depth=30 --window=30
	subject git -C work fsck --full 2>&1 | LC_ALL=C sort >>out/fsck
	objects_of source.git >out/source-objects
	objects_of work >out/work-objects
	subject git -C work archive HEAD | sha256sum >out/archive
	own_repository
	expect "commits" "$(grep -c '^commit ' "$INPUT/history")" \
		"$(subject git -C source.git rev-list --count main)"
}
