# SPDX-License-Identifier: MIT
"""lua5.4: small objects by the million: trees, closures, strings, tables that grow and shrink."""

NEEDS = {"lua5.4": "lua5.4"}
RUNS = ("lua5.4",)
QUICK, FULL = 14, 16

SCRIPT = r"""
local depth = tonumber(arg[1])
local function tree(d)
  if d == 0 then return { name = "leaf" .. d } end
  return { left = tree(d - 1), right = tree(d - 1), name = d }
end
local function count(t)
  if not t.left then return 1 end
  return 1 + count(t.left) + count(t.right)
end
local long, total = tree(depth), 0
for d = 4, depth, 3 do
  for _ = 1, 2 ^ (depth - d + 1) do total = total + count(tree(d)) end
end
local words, order = {}, {}
for i = 1, 2 ^ (depth + 3) do
  local word = string.format("%x-%s", (i * 7919) % 100003, ("ab"):rep(i % 20))
  if not words[word] then words[word] = { at = {} } order[#order + 1] = word end
  local at = words[word].at
  at[#at + 1] = function() return i end
  if i % 5 == 0 then words[order[#order]] = nil; order[#order] = nil end
end
table.sort(order)
local sum = 0
for _, word in ipairs(order) do
  for _, f in ipairs(words[word].at) do sum = sum + f() end
end
print(total, count(long), #order, sum, #table.concat(order, ","))
"""


def setup(box):
    (box.input / "work.lua").write_text(SCRIPT)


def command(box):
    return ["lua5.4", box.input / "work.lua", box.size]
