# Work for the ruby case: prints what it found, the same on every run.
require 'digest'
require 'json'
require 'set'
require 'stringio'
require 'zlib'

SCALE = Integer(ARGV.fetch(0, '1'))

def digest(value)
  Digest::SHA256.hexdigest(value.is_a?(String) ? value : Marshal.dump(value))[0, 24]
end

def numbers(seed)
  Enumerator.new do |out|
    loop do
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      out << (seed >> 8)
    end
  end
end

def words
  random = Random.new(7)
  counts = Hash.new { |hash, key| hash[key] = +'' }
  (100_000 * SCALE).times { counts["w#{random.rand(20_000)}"] << (97 + random.rand(26)).chr }
  longest = counts.sort_by { |word, text| [-text.size, word] }
  puts "words #{counts.size} #{digest(longest)}"
  counts.delete_if { |word, _| word.hash && word.size.even? }
  GC.start
  puts "left #{counts.size} #{digest(counts.sort)}"
end

def expressions
  text = (1..20_000 * SCALE).map { |i| "#{'x' * (i % 40)}-#{i}@host#{i % 97}.example" }.join(' ')
  hosts = text.scan(/(x+)-\d+@(host\d+)/).group_by(&:last).transform_values(&:size)
  puts "hosts #{digest(hosts.sort)}"
  puts "changed #{digest(text.gsub(/(x+)-(\d+)/) { "#{$1.size}:#{$2.reverse}" })}"
end

Node = Struct.new(:value, :children)

def tree(depth, source)
  Node.new(source.next.to_s, depth.zero? ? [] : Array.new(5) { tree(depth - 1, source) })
end

def marshal
  source = numbers(3)
  original = tree(5, source)
  copy = Marshal.load(Marshal.dump(original))
  puts "marshal #{copy == original} #{digest(copy)}"
  table = (0...20_000).to_h { |i| ["key#{i}", { 'n' => i, 'list' => [i, i.to_s, nil, i * 0.5] }] }
  text = JSON.generate(table)
  puts "json #{JSON.parse(text) == table} #{digest(text)}"
  packed = Zlib::Deflate.deflate(text, 9)
  puts "zlib #{Zlib::Inflate.inflate(packed) == text} #{packed.size}"
end

def threads
  results = Array.new(8) do |n|
    Thread.new { digest((0...30_000).map { |i| (i * 7919 + n) % 100_003 }.sort.join(',')) }
  end
  results.each_with_index { |thread, n| puts "thread #{n} #{thread.value}" }
end

def children
  pipes = Array.new(4) do |n|
    reader, writer = IO.pipe
    fork do
      reader.close
      writer.write(digest((1..20_000 * (n + 1)).map(&:to_s).to_set.to_a))
      writer.close
    end
    writer.close
    reader
  end
  pipes.each_with_index { |reader, n| puts "child #{n} #{reader.read}" }
  Process.waitall.each { |_, status| abort "child: #{status}" unless status.success? }
end

def collector
  live = []
  200.times do |round|
    live << Array.new(200) { |i| "#{round}-#{i}" * (i % 30) }
    live.shift if live.size > 40
    GC.compact if (round % 50).zero?
  end
  puts "collector #{digest(live)}"
end

def big_numbers
  product = (1..3000).inject(:*)
  puts "factorial #{digest(product.to_s)} #{(product >> 5000) % 1_000_000_007}"
end

words
expressions
marshal
threads
children
collector
big_numbers
