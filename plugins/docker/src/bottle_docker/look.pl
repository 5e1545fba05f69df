# What can be seen from here: connections that come about, and names that a resolver knows. Each takes a second at most.
# Read on stdin, a line each: "dial HOST PORT HEX" and "name NAME"; answered in that order with "none" or a hex string, and 0 or 1.
use strict;
use warnings;
use Socket qw(:all);
use IO::Select;

my $patience = 1;   # whoever would answer is this machine itself, and the resolver has just been asked for that name
my (@dials, @names);
while (my $line = <STDIN>) {
    my ($what, @words) = split ' ', $line;
    push @dials, \@words if $what eq 'dial';
    push @names, $words[0] if $what eq 'name';
}

sub dial {
    my ($host, $port, $hex) = @_;
    my ($error, @found) = getaddrinfo($host, $port, { socktype => SOCK_STREAM });
    return if $error;
    for my $at (@found) {
        socket(my $socket, $at->{family}, SOCK_STREAM, 0) or next;
        my $two = pack('l!l!', $patience, 0);
        setsockopt($socket, SOL_SOCKET, SO_SNDTIMEO, $two);
        setsockopt($socket, SOL_SOCKET, SO_RCVTIMEO, $two);
        connect($socket, $at->{addr}) or next;
        syswrite($socket, pack('H*', $hex)) if defined $hex;
        my $answer = '';
        sysread($socket, $answer, 4096);
        return $answer // '';
    }
    return;
}

# The resolver is asked itself: what the C library would say depends on files that the image has.
sub resolvers {
    my %found = ('127.0.0.11' => 1);
    if (open(my $file, '<', '/etc/resolv.conf')) {
        while (my $line = <$file>) { $found{$1} = 1 if $line =~ /^\s*nameserver\s+([0-9.]+)\s*$/ }
    }
    return sort keys %found;
}

sub known {
    my ($name) = @_;
    my $question = pack('n6', 4711, 0x0100, 1, 0, 0, 0)
        . join('', map { pack('C/a*', $_) } split(/\./, $name)) . pack('C n2', 0, 1, 1);
    my @asked;
    for my $resolver (resolvers()) {
        socket(my $socket, AF_INET, SOCK_DGRAM, 0) or next;
        connect($socket, pack_sockaddr_in(53, inet_aton($resolver))) or next;
        send($socket, $question, 0) or next;
        push @asked, $socket;
    }
    my ($select, $end) = (IO::Select->new(@asked), time + $patience);
    while ($select->count and (my $left = $end - time) > 0) {
        for my $socket ($select->can_read($left)) {
            $select->remove($socket);
            my $answer = '';
            defined recv($socket, $answer, 4096, 0) or next;
            next if length($answer) < 12;
            my (undef, $flags, undef, $answers) = unpack('n4', $answer);
            return 1 if $answers and not $flags & 0x000f;
        }
    }
    my ($error, @found) = getaddrinfo($name, '', { socktype => SOCK_STREAM });
    return $error ? 0 : 1;
}

# Side by side: each in a process of its own, answering through a pipe.
my @pipes;
for my $task ((map { my @it = @$_; sub { my $seen = dial(@it); defined $seen ? 'x' . unpack('H*', $seen) : 'none' } } @dials),
    (map { my $name = $_; sub { known($name) } } @names)) {
    pipe(my $read, my $write) or die "pipe: $!";
    my $pid = fork() // die "fork: $!";
    if (!$pid) { close $read; syswrite($write, $task->() . "\n"); close $write; exit 0 }
    close $write;
    push @pipes, $read;
}
for my $pipe (@pipes) { my $line = <$pipe>; print defined $line ? $line : "lost\n" }
