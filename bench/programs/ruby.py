# SPDX-License-Identifier: MIT
"""ruby: objects, strings longer than its cells, hashes, a heap of jobs, formatted output."""

NEEDS = {"ruby": "ruby"}
RUNS = ("ruby",)
QUICK, FULL = 60000, 200000

SCRIPT = r"""
Job = Struct.new(:number, :name, :steps, :notes)
words = File.read(ARGV[0]).split
state = 12345
chance = ->(below) { state = (state * 1103515245 + 12345) % 2147483648; state / 65536 % below }
jobs = {}
ready = []
sum = 0
ARGV[1].to_i.times do |number|
  steps = Array.new(1 + chance.(9)) { chance.(1000) }
  notes = Array.new(3 + chance.(12)) { words[chance.(words.size)] }.join(' ')
  job = Job.new(number, "#{words[number % words.size]}-#{number}", steps, notes)
  jobs[job.name] = job
  ready << job.name if chance.(3) != 0
  next unless ready.size > 3000
  ready.shift(1500).each do |name|
    done = jobs.delete(name)
    sum += done.notes.gsub(/[aeiou]/) { |c| c.upcase }.count('AEIOU') + done.steps.sort.last
  end
end
lines = jobs.values.group_by { |job| job.steps.size }.sort.map do |size, all|
  format('%d %d %s', size, all.size, all.map(&:notes).max)
end
puts lines, sum, jobs.size, ready.size
"""


def setup(box):
    from comparelib.programs_box import prose
    (box.input / "words").write_text(prose(6, 5000))
    (box.input / "work.rb").write_text(SCRIPT)


def command(box):
    return ["ruby", "--disable=gems", box.input / "work.rb", box.input / "words", box.size]
