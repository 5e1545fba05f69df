# ssh's way out: asks the proxy for a tunnel, then moves bytes both ways. Arguments: the proxy's HOST:PORT, host, port.
use strict;
use warnings;
use Socket qw(:all);

my ($proxy, $host, $port) = @ARGV;
my ($at, $door) = $proxy =~ /^\[?(.*?)\]?:([0-9]+)$/ or die "bottle: no proxy at '$proxy'\n";
$host = "[$host]" if $host =~ /:/;

my ($error, @found) = getaddrinfo($at, $door, { socktype => SOCK_STREAM });
die "bottle: the proxy $proxy: $error\n" if $error;
my $socket;
for my $it (@found) {
    socket($socket, $it->{family}, SOCK_STREAM, 0) and connect($socket, $it->{addr}) and last;
    undef $socket;
}
die "bottle: the proxy $proxy does not answer\n" unless $socket;

put($socket, "CONNECT $host:$port HTTP/1.1\r\nHost: $host:$port\r\n\r\n");
my $head = '';
while ($head !~ /\r\n\r\n$/) {
    sysread($socket, my $byte, 1) or die "bottle: the proxy closed the connection to $host:$port\n";
    $head .= $byte;
    die "bottle: the proxy's answer has no end\n" if length $head > 65536;
}
if ($head !~ m{^HTTP/1\.[01] 200\b}) {
    my ($status) = $head =~ /^([^\r\n]*)/;
    my ($length) = $head =~ /^content-length: *([0-9]+)/im;
    my $body = '';
    sysread($socket, $body, $length > 4096 ? 4096 : $length) if $length;
    $body =~ s/[^\x20-\x7e\n]//g;
    die "bottle: the proxy refused $host:$port: $status\n$body\n";
}

my %open = (0 => 1, fileno($socket) => 1);
while ($open{fileno $socket}) {
    my $ready = '';
    vec($ready, $_, 1) = 1 for grep { $open{$_} } keys %open;
    next if select($ready, undef, undef, undef) < 0;
    for ([*STDIN, $socket], [$socket, *STDOUT]) {
        my ($from, $to) = @$_;
        next unless $open{fileno $from} and vec($ready, fileno $from, 1);
        if (sysread($from, my $data, 65536)) {
            put($to, $data);
        } else {
            $open{fileno $from} = 0;
            shutdown($socket, 1) if fileno($from) == 0;
        }
    }
}

sub put {
    my ($to, $data) = @_;
    while (length $data) {
        my $written = syswrite($to, $data) // exit 1;
        substr($data, 0, $written, '');
    }
}
