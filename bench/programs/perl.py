# SPDX-License-Identifier: MIT
"""perl: a concordance of a text: hashes of arrays, splitting, substitution, sorting, joining."""

NEEDS = {"perl": "perl"}
RUNS = ("perl",)
ENVIRONMENT = {"PERL_HASH_SEED": "0"}
QUICK, FULL = 150000, 900000

SCRIPT = r"""
use strict; use warnings;
my ($line, %index, %after, @kept) = (0);
open my $text, '<', $ARGV[0] or die;
while (<$text>) {
    $line++;
    chomp;
    my @words = map { lc } split /\W+/;
    for my $at (0 .. $#words) {
        push @{ $index{$words[$at]} }, { line => $line, at => $at };
        $after{$words[$at]}{$words[$at + 1]}++ if $at < $#words;
    }
    (my $changed = $_) =~ s/(\w+)er\b/uc($1) . "-$line"/ge;
    push @kept, $changed;
    splice @kept, 0, 500 if @kept > 2000;
}
my @common = sort { @{ $index{$b} } <=> @{ $index{$a} } || $a cmp $b } keys %index;
for my $word (@common[0 .. 199]) {
    my $next = $after{$word} || {};
    my @then = sort { $next->{$b} <=> $next->{$a} || $a cmp $b } keys %$next;
    print join(' ', $word, scalar @{ $index{$word} }, grep { defined } @then[0 .. 4]), "\n";
}
my $joined = join "\n", map { join ',', map { "$_->{line}:$_->{at}" } @{ $index{$_} } } @common;
print length($joined), ' ', scalar(@kept), ' ', unpack('%32C*', $joined), "\n";
"""


def setup(box):
    from comparelib.programs_box import prose
    (box.input / "text").write_text(prose(5, box.size))
    (box.input / "work.pl").write_text(SCRIPT)


def command(box):
    return ["perl", box.input / "work.pl", box.input / "text"]
