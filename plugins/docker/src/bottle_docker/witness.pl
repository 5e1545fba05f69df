# Listens on the host of an engine, whose network this container has, and answers whoever comes with what was sent.
# Writes the host's routes and a dot; reads a line of addresses; writes "ADDRESS PORT" for each, its own primary ones
# and its loopback among them, and a dot. Ends when its stdin does.
use strict;
use warnings;
use Socket qw(:all);
use IO::Select;

$| = 1;
$SIG{PIPE} = 'IGNORE';

if (open(my $routes, '<', '/proc/net/route')) { print while <$routes> }
print ".\n";

my ($asked, $byte) = ('', '');
$asked .= $byte while sysread(STDIN, $byte, 1) and $byte ne "\n";

# Documentation addresses (RFC 5737, RFC 3849): a datagram socket sends nothing when it connects.
sub primary {
    my ($somewhere) = @_;
    my ($error, $at) = getaddrinfo($somewhere, 9, { flags => AI_NUMERICHOST, socktype => SOCK_DGRAM });
    return if $error or not socket(my $socket, $at->{family}, SOCK_DGRAM, 0);
    connect($socket, $at->{addr}) or return;
    my (undef, $host) = getnameinfo(getsockname($socket), NI_NUMERICHOST | NI_NUMERICSERV);
    return $host;
}

my $select = IO::Select->new(\*STDIN);
my %seen;
for my $host (grep { !$seen{$_}++ } split(' ', $asked), '127.0.0.1', '::1', primary('192.0.2.1'), primary('2001:db8::1')) {
    my ($error, $at) = getaddrinfo($host, 0, { flags => AI_NUMERICHOST, socktype => SOCK_STREAM });
    next if $error or not socket(my $listener, $at->{family}, SOCK_STREAM, 0);
    bind($listener, $at->{addr}) and listen($listener, 8) or next;
    my (undef, undef, $port) = getnameinfo(getsockname($listener), NI_NUMERICHOST | NI_NUMERICSERV);
    $select->add($listener);
    print "$host $port\n";
}
print ".\n";

while (1) {
    for my $ready ($select->can_read) {
        exit 0 if fileno($ready) == fileno(STDIN);
        accept(my $peer, $ready) or next;
        setsockopt($peer, SOL_SOCKET, SO_RCVTIMEO, pack('l!l!', 1, 0));
        my $said = '';
        syswrite($peer, $said) if sysread($peer, $said, 64);
        close $peer;
    }
}
