# What can be seen from here: connections that come about, and names that a resolver knows. Each takes a second at most.
# Read on stdin, a line each: "dial HOST PORT HEX" and "name NAME"; answered in that order with "none" or a hex string, and 0 or 1.
# "control HOST SECONDS" ends the wait sooner: after so many seconds HOST is asked a hundred times, each once it has
# answered the last. Whoever has been silent until then has had a hundred times what an answer takes, here and now.
use strict;
use warnings;
use Socket qw(:all);
use IO::Select;

my ($patience, $times, $closed) = (1, 100, 1);
my (@dials, @names, @control);
while (my $line = <STDIN>) {
    my ($what, @words) = split ' ', $line;
    push @dials, \@words if $what eq 'dial';
    push @names, $words[0] if $what eq 'name';
    @control = @words if $what eq 'control';
}
pipe(my $over, my $waiting) or die "pipe: $!";   # at its end nobody waits any longer

# The sockets that can be read, or written to, before the wait is over.
sub ready {
    my ($read, $write) = map { IO::Select->new(@$_) } @_;
    $read->add($over);
    for my $wait ($patience, 0) {
        my ($readable, $writable) = IO::Select->select($read, $write, undef, $wait);
        my @ready = grep { $_ != $over } @{ $readable // [] }, @{ $writable // [] };
        return @ready if @ready;
        $read->remove($over);
    }
    return;
}

# A connection, or why there is none; nothing if nobody answered.
sub connected {
    my ($at) = @_;
    socket(my $socket, $at->{family}, SOCK_STREAM | SOCK_NONBLOCK, 0) or return;
    return ($socket, 0) if connect($socket, $at->{addr});
    return ($socket, 0 + $!) unless $!{EINPROGRESS};
    return ready([], [$socket]) ? ($socket, unpack('i', getsockopt($socket, SOL_SOCKET, SO_ERROR))) : ();
}

sub dial {
    my ($host, $port, $hex) = @_;
    my ($error, @found) = getaddrinfo($host, $port, { socktype => SOCK_STREAM });
    return if $error;
    for my $at (@found) {
        my ($socket, $refused) = connected($at) or next;
        next if $refused;
        syswrite($socket, pack('H*', $hex)) if defined $hex;
        my $answer = '';
        sysread($socket, $answer, 4096) if IO::Select->new($socket)->can_read($patience);   # it is there: no hurry
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
    my $asked = IO::Select->new;
    for my $resolver (resolvers()) {
        socket(my $socket, AF_INET, SOCK_DGRAM, 0) or next;
        connect($socket, pack_sockaddr_in(53, inet_aton($resolver))) or next;
        send($socket, $question, 0) or next;
        $asked->add($socket);
    }
    while ($asked->count and my @ready = ready([$asked->handles], [])) {
        for my $socket (@ready) {
            $asked->remove($socket);
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

# A port on which nobody listens: its kernel answers, as that of whoever must not be seen would. True once it has.
sub answered {
    my ($host, $seconds) = @_;
    my ($error, $at) = getaddrinfo($host, $closed, { socktype => SOCK_STREAM });
    return if $error;
    select(undef, undef, undef, $seconds);
    for (1 .. $times) {
        my (undef, $refused) = connected($at) or return;
        return unless $refused == 0 or $refused == Errno::ECONNREFUSED();
    }
    return 1;
}

# Side by side: each in a process of its own, answering through a pipe.
my @pipes;
for my $task ((map { my @it = @$_; sub { my $seen = dial(@it); defined $seen ? 'x' . unpack('H*', $seen) : 'none' } } @dials),
    (map { my $name = $_; sub { known($name) } } @names)) {
    pipe(my $read, my $write) or die "pipe: $!";
    my $pid = fork() // die "fork: $!";
    if (!$pid) { close $read; close $waiting; syswrite($write, $task->() . "\n"); close $write; exit 0 }
    close $write;
    push @pipes, $read;
}
my $control;
if (@control) {
    $control = fork() // die "fork: $!";
    if (!$control) { answered(@control) or sleep 60; exit 0 }
}
close $waiting if $control;
for my $pipe (@pipes) { my $line = <$pipe>; print defined $line ? $line : "lost\n" }
kill 'KILL', $control if $control;
