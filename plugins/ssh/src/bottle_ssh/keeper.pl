# Inside, as root, where no socket can be carried in: an ssh-agent that nobody but root reaches, and before it this, which
# lets the agent's user list keys, sign, and say which host a connection is bound to. Argument: a folder of root's own, which
# others may pass through. stdin: the messages that add keys. stdout: `ready`.
use strict;
use warnings;
use POSIX qw(setsid);
use Socket;

my ($place) = @ARGV;
my ($LIST, $LISTED, $SIGN, $EXTENSION) = (11, 12, 13, 27);
my $BIND = pack 'N/a*', 'session-bind@openssh.com';
my ($FAILURE, $SUCCESS, $LONGEST) = ("\5", "\6", 256 * 1024);

my @keys;
while (defined(my $key = take(*STDIN))) { push @keys, $key }

defined(my $agent = fork) or die "fork: $!\n";
unless ($agent) {
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    setsid;
    exec('ssh-agent', '-D', '-a', "$place/own/agent") or exit 1;
}
my $door;
for (1 .. 500) { last if $door = dial(); select undef, undef, undef, 0.01 }
die "ssh-agent did not start\n" unless $door;
for (@keys) { die "ssh-agent did not take a key\n" unless ask($door, $_) eq $SUCCESS }
close $door;

my $listener;
socket($listener, AF_UNIX, SOCK_STREAM, 0)
    and bind($listener, pack_sockaddr_un("$place/socket"))
    and listen($listener, 16)
    and chmod(0666, "$place/socket")
    or die "$place/socket: $!\n";
defined(my $relay = fork) or die "fork: $!\n";
if ($relay) { print "ready\n"; exit }
open STDIN, '<', '/dev/null';
open STDOUT, '>', '/dev/null';
open STDERR, '>', '/dev/null';
setsid;
$SIG{CHLD} = 'IGNORE';
while (1) {
    accept(my $client, $listener) or next;
    if (!fork) { serve($client); exit }
    close $client;
}

sub serve {
    my ($client) = @_;
    my $own = dial() or return;
    while (defined(my $message = take($client))) {
        my ($kind, $rest) = (ord $message, substr $message, 1);
        my $passes = $kind == $LIST || $kind == $SIGN || ($kind == $EXTENSION && index($rest, $BIND) == 0);
        my $answer = $passes ? ask($own, $message) : $FAILURE;
        give($client, ord $answer == $LISTED ? unnamed($answer) : $answer);
    }
}

# A list of keys without their comments, which say where on the user's machine they are.
sub unnamed {
    my ($count, @fields) = unpack 'x N (N/a*)*', $_[0];
    return pack('C N', $LISTED, $count) . join '', map { pack 'N/a* N', $fields[2 * $_], 0 } 0 .. $count - 1;
}

sub dial {
    socket(my $door, AF_UNIX, SOCK_STREAM, 0) or return;
    return connect($door, pack_sockaddr_un("$place/own/agent")) ? $door : undef;
}

sub ask {
    my ($door, $message) = @_;
    give($door, $message);
    return take($door) // exit 1;
}

sub give {
    my ($to, $message) = @_;
    my $data = pack 'N/a*', $message;
    while (length $data) {
        my $written = syswrite($to, $data) // exit 1;
        substr $data, 0, $written, '';
    }
}

sub take {
    my ($from) = @_;
    my $size = exactly($from, 4);
    return unless defined $size;
    $size = unpack 'N', $size;
    return if $size < 1 || $size > $LONGEST;
    return exactly($from, $size);
}

sub exactly {
    my ($from, $size) = @_;
    my $data = '';
    while (length $data < $size) {
        sysread($from, $data, $size - length $data, length $data) or return;
    }
    return $data;
}
