# shellcheck shell=bash disable=SC2034
case_about="redis-server under redis-benchmark, then known data through a dump, a log and a restart"
case_quick=yes
case_needs=(redis-server redis-tools)
case_programs=('redis-check-rdb' redis-benchmark redis-cli)
case_timeout=240
# Debian links redis with jemalloc; this puts glibc's malloc before it.
case_baseline=libc.so.6

prepare() {
	# Every type of value, in sizes from a few bytes to a few hundred thousand.
	awk 'BEGIN {
		for (i = 0; i < 30000; i++) {
			printf "SET string:%d %0*d\r\n", i, 1 + i % 400, i
			printf "HSET hash:%d field%d value%d\r\n", i % 300, i, i * 3
			printf "RPUSH list:%d element%d\r\n", i % 200, i
			printf "SADD set:%d %d\r\n", i % 100, i * 7
			printf "ZADD sorted:%d %d member%d\r\n", i % 50, i * 7919 % 10007, i
			printf "XADD stream:%d %d-1 name value%d\r\n", i % 20, i + 1, i
			printf "PFADD log:%d %d\r\n", i % 10, i
			if (i % 3 == 0) printf "DEL string:%d\r\n", i / 2
			if (i % 100 == 0) printf "SETRANGE large:%d %d end\r\n", i, i * 10
			if (i % 100 == 50) printf "APPEND string:%d %0*d\r\n", i, i, i
		}
	}' >commands
}

start_redis() {
	local threads=2
	[[ $QUICK == yes ]] && threads=1
	start_server "redis-$1" redis-server --port 0 --unixsocket redis.sock --dir "$PWD" \
		--save '' --enable-debug-command yes --daemonize no --appendonly "$2" \
		--io-threads "$threads" --hz 50
	wait_until 60 answers
}

# While it reads its data it answers with an error.
answers() {
	[[ $(redis-cli -s redis.sock ping) == PONG ]]
}

client() {
	subject redis-cli -s redis.sock "$@"
}

benchmark() {
	local requests=200000 large=2000
	[[ $QUICK == yes ]] && requests=15000 large=300
	subject redis-benchmark -s redis.sock -q -c 30 -P 8 --threads 2 -n "$requests" -r 20000 \
		-d 200 -t set,get,incr,lpush,lpop,sadd,hset,spop,zadd,zpopmin,mset >log/benchmark
	subject redis-benchmark -s redis.sock -q -c 10 -n "$large" -r 100 -d 100000 -t set,get \
		>>log/benchmark
	[[ $(tr '\r' '\n' <log/benchmark | grep -c 'requests per second') -ge 13 ]] ||
		die "redis-benchmark did not finish: $(tail -n 3 log/benchmark)"
}

# What the data is, by redis itself and by questions.
questions() {
	client DBSIZE
	client DEBUG DIGEST
	client ZRANGE sorted:7 0 20 WITHSCORES
	client SORT list:3 ALPHA LIMIT 0 20
	client SINTERCARD 2 set:1 set:15
	client PFCOUNT log:1 log:2 log:3
	client XRANGE stream:4 - + COUNT 5
	client STRLEN large:29900
	client EVAL 'local n = 0; for i = 1, 300 do
		n = n + #redis.call("HGETALL", "hash:" .. (i - 1)) end; return n' 0
}

# Frees what is removed, part of it in a thread of redis's own.
remove_and_fill() {
	client FLUSHALL ASYNC
	client --pipe <"$INPUT/commands" | tail -n 1
	client EVAL 'for i = 0, 29999, 5 do redis.call("UNLINK", "string:" .. i) end' 0
	client MEMORY PURGE
}

# No child that writes the data is at work or about to be.
is_quiet() {
	[[ $(redis-cli -s redis.sock INFO persistence | tr -d '\r' |
		grep -cE '^(rdb_bgsave|aof_rewrite)_(in_progress|scheduled):0$') == 3 ]]
}

save_in_children() {
	client BGSAVE
	wait_until 60 is_quiet
	client CONFIG SET appendonly yes
	wait_until 60 is_quiet
	client BGREWRITEAOF
	wait_until 60 is_quiet
	client INFO persistence | tr -d '\r' | grep -E '_status:'
}

run_round() {
	start_redis first no
	benchmark
	remove_and_fill >out/fill
	questions >out/first
	save_in_children >out/save
	client SHUTDOWN NOSAVE
	await_server
	start_redis second yes
	questions >out/second
	stop_server
	cmp out/first out/second || die "the data changed by a restart"
}
