# Carries a unix socket out of the container. Argument: its path. Each frame on stdin and stdout is a kind, a client's
# number, a length (packed as aNN) and as many bytes: o, somebody has connected; d, data; e, the end of a client.
use strict;
use warnings;
use Socket;
use IO::Select;

my ($path) = @ARGV;
binmode STDIN;
binmode STDOUT;
$SIG{PIPE} = 'IGNORE';
umask 077;
unlink $path;
socket(my $listener, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
bind($listener, pack_sockaddr_un($path)) or die "$path: $!\n";
listen($listener, 32) or die "$path: $!\n";

my ($number, %clients, %numbers) = (0);
my $waiting = IO::Select->new(\*STDIN, $listener);
frame('o', 0, '');   # client 0 is nobody: the socket is there

while (1) {
    for my $from ($waiting->can_read) {
        if ($from == $listener) {
            accept(my $client, $listener) or next;
            $clients{++$number} = $client;
            $numbers{fileno $client} = $number;
            $waiting->add($client);
            frame('o', $number, '');
        } elsif ($from == \*STDIN) {
            my ($kind, $id, $size) = unpack 'aNN', all(\*STDIN, 9);
            my $data = all(\*STDIN, $size);
            my $client = $clients{$id} or next;
            end($id) if $kind eq 'e' or !put($client, $data);
        } else {
            my $id = $numbers{fileno($from) // -1} or next;
            if (sysread($from, my $data, 65536)) { frame('d', $id, $data) } else { frame('e', $id, ''); end($id) }
        }
    }
}

sub end {
    my $client = delete $clients{$_[0]} or return;
    delete $numbers{fileno $client};
    $waiting->remove($client);
    close $client;
}

sub frame {
    my ($kind, $id, $data) = @_;
    put(\*STDOUT, pack('aNN', $kind, $id, length $data) . $data) or exit;
}

sub put {
    my ($to, $data) = @_;
    while (length $data) {
        my $written = syswrite($to, $data) or return 0;
        substr($data, 0, $written, '');
    }
    return 1;
}

sub all {
    my ($from, $size) = @_;
    my $data = '';
    while (length $data < $size) { sysread($from, $data, $size - length $data, length $data) or exit }
    return $data;
}
