# Work for the perl case: prints what it found, the same on every run.
use strict;
use warnings;
use threads;
use Digest::MD5 qw(md5_hex);
use List::Util qw(sum0 shuffle reduce);

my $scale = shift // 1;
my $state = 12345;

sub next_random {
	$state = ($state * 1103515245 + 12345) % 2147483648;
	return $state >> 8;
}

sub word_counts {
	my %count;
	for (1 .. 300_000 * $scale) {
		$count{ 'w' . next_random() % 50_000 } .= chr(97 + next_random() % 26);
	}
	my @longest = sort { length $count{$b} <=> length $count{$a} || $a cmp $b } keys %count;
	printf "words %d, first %s\n", scalar @longest, md5_hex(join ',', @longest);
	delete @count{ @longest[0 .. $#longest / 2] };
	printf "left %d %s\n", scalar keys %count, md5_hex(join ',', map { "$_=$count{$_}" } sort keys %count);
}

sub regular_expressions {
	my $text = join ' ', map { sprintf '%s-%d@host%d.example', 'x' x ($_ % 40), $_, $_ % 97 }
		1 .. 60_000 * $scale;
	my %hosts;
	$hosts{$2}++ while $text =~ /(x+)-\d+@(host\d+)\.example/g;
	(my $changed = $text) =~ s/(x+)-(\d+)/length($1) . ':' . reverse $2/ge;
	printf "hosts %d %s, changed %s\n", scalar keys %hosts,
		md5_hex(join ',', map { "$_=$hosts{$_}" } sort keys %hosts), md5_hex($changed);
	my @parts = split /[\s@]+/, $changed;
	printf "parts %d\n", scalar @parts;
}

sub nested {
	my ($depth) = @_;
	return { leaf => next_random() } if $depth == 0;
	return { map { $_ => nested($depth - 1) } 'a' .. 'f' };
}

sub total {
	my ($tree) = @_;
	return $tree->{leaf} // sum0(map { total($_) } values %$tree);
}

sub growing_strings {
	my @parts = map { 'y' x ($_ * 7 % 5000) } 1 .. 2000;
	my $all = '';
	$all .= $_ for @parts, reverse @parts;
	substr $all, 1000 * $_, 500, 'z' x ($_ % 900) for 1 .. 1500;
	printf "string %d %s\n", length $all, md5_hex($all);
}

sub in_threads {
	my @threads = map {
		my $number = $_;
		threads->create(sub {
			my @list = map { ($_ * 7919 + $number) % 100_003 } 1 .. 40_000;
			return md5_hex(join ',', sort { $a <=> $b } @list);
		});
	} 1 .. 6;
	print "thread $_\n" for map { $_->join } @threads;
}

sub in_children {
	for my $number (1 .. 4) {
		pipe my $in, my $out or die "pipe: $!";
		my $pid = fork // die "fork: $!";
		if ($pid == 0) {
			close $in;
			my %squares = map { $_ => $_ * $_ } 1 .. 20_000 * $number;
			print $out sum0(values %squares), "\n";
			close $out;
			exit 0;
		}
		close $out;
		print "child $number: ", scalar <$in>;
		waitpid $pid, 0;
		die "child $number: status $?" if $?;
	}
}

word_counts();
regular_expressions();
print 'tree ', total(nested(6)), "\n";
growing_strings();
in_threads();
in_children();
