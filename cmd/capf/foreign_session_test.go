package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
)

// Whole sessions by a phone of which nothing is ours: TLS and keys by OpenSSL, the messages written here
// byte by byte after capf-protocol.md, without runtime/wire.

// dialogue is a session seen from the phone.
type dialogue struct {
	*client
	device  string
	version byte
	id      []byte // of the session
}

// element is tag, length, value.
func element(tag byte, value ...byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{tag}, uint16(len(value))), value...)
}

// send writes a message: magic, command, session ID, length, elements.
func (d *dialogue) send(command byte, elements ...[]byte) {
	d.t.Helper()
	body := bytes.Join(elements, nil)
	message := append([]byte{0x55, command}, d.id...)
	message = append(binary.BigEndian.AppendUint16(message, uint16(len(body))), body...)
	if _, err := d.stdin.Write(message); err != nil {
		d.t.Fatal(err)
	}
}

// receive awaits a message and gives its elements by tag.
func (d *dialogue) receive(command byte) map[byte][]byte {
	d.t.Helper()
	header := d.read(8)
	if !bytes.Equal(header[:6], append([]byte{0x55, command}, d.id...)) {
		d.t.Fatalf("a message begins %x, not with command %d of session %x", header, command, d.id)
	}
	elements := make(map[byte][]byte)
	for body := d.read(int(binary.BigEndian.Uint16(header[6:]))); len(body) > 0; {
		end := 3
		if len(body) >= end {
			end += int(binary.BigEndian.Uint16(body[1:]))
		}
		if _, twice := elements[body[0]]; twice || len(body) < end {
			d.t.Fatalf("command %d ends with elements %x", command, body)
		}
		elements[body[0]], body = body[3:end], body[end:]
	}
	return elements
}

// expect awaits a message with exactly these elements.
func (d *dialogue) expect(command byte, want map[byte][]byte) {
	d.t.Helper()
	if got := d.receive(command); !reflect.DeepEqual(got, want) {
		d.t.Fatalf("command %d carries %x, not %x", command, got, want)
	}
}

// identify takes the first message and answers it. Without digits the password is left out, as an IOS
// server's phone does under null string [C].
func (d *dialogue) identify(digits string) {
	d.t.Helper()
	first := d.read(12)
	d.id = first[2:6]
	if !bytes.Equal(first, authenticationRequest(d.id)) {
		d.t.Fatalf("the first message is %x", first)
	}
	elements := [][]byte{element(1, 1), element(7, d.version), element(13, append([]byte(d.device), 0)...)}
	if digits != "" {
		elements = append(elements, element(11, append([]byte(digits), 0)...))
	}
	d.send(2, elements...)
}

// install does what the phone has to do for a certificate, and gives that in DER.
func (d *dialogue) install(publicKey []byte) (certificate []byte) {
	d.t.Helper()
	request := map[byte][]byte{10: {0x04, 0x00}} // 1024 bits, and nothing else towards version 2 [C]
	if d.version >= 3 {
		request[17] = []byte{0} // RSA
	}
	d.expect(3, request)
	d.send(17)
	d.send(17)
	d.send(4, element(9, publicKey...))
	store := d.receive(9)
	content := store[4]
	if !bytes.Equal(store[3], []byte{1}) || len(store) != 2 || len(content) < 5 {
		d.t.Fatalf("the certificate comes with %x", store)
	}
	certificate = content[5:]
	if inner := element(1, append([]byte{0x00, 0x01}, certificate...)...); !bytes.Equal(content, inner) {
		d.t.Fatalf("the element of the certificate is %x", content)
	}
	d.send(10, element(1, 1))
	d.end(1)
	return certificate
}

// end takes the last message, after which the service closes the line.
func (d *dialogue) end(reason byte) {
	d.t.Helper()
	d.expect(15, map[byte][]byte{1: {reason}})
	d.finished()
}

// openssl runs an OpenSSL command and gives its output.
func openssl(t testing.TB, stdin []byte, arguments ...string) []byte {
	t.Helper()
	command := exec.Command(foreign(t, "openssl", installOpenSSL), arguments...)
	command.Stdin = bytes.NewReader(stdin)
	var problems bytes.Buffer
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", arguments[0], err, problems.String())
	}
	return output
}

func TestForeignPhone(t *testing.T) {
	i := newInstallation(t)
	address := i.serve().address
	for number, options := range [][]string{suiteOptions("-tls1", "AES128-SHA"), suiteOptions("-tls1_3", "TLS_AES_256_GCM_SHA384")} {
		for _, version := range []byte{2, 3} {
			if brief() && int(version) != number+2 {
				continue // old TLS with the old version, new with new
			}
			t.Run(fmt.Sprintf("%s/version_%d", options[0][1:], version), func(t *testing.T) {
				f := &foreignPhone{installation: i.in(t), address: address, options: options, version: version,
					device: fmt.Sprintf("SEP00000000F%d0%d", number, version)}
				f.life()
			})
		}
	}
}

// foreignPhone makes calls one after the other.
type foreignPhone struct {
	*installation
	address string
	options []string // of TLS
	version byte
	device  string
}

func (f *foreignPhone) call() *dialogue {
	f.t.Helper()
	return &dialogue{client: connect(f.t, f.address, f.options...), device: f.device, version: f.version}
}

// life goes through all that can happen to a phone, the refusals first.
func (f *foreignPhone) life() {
	unknown := f.call()
	unknown.identify("")
	unknown.end(9)

	f.capf("phone", "add", f.device)
	f.nothingPending()

	f.capf("phone", "set", f.device, "--operation", "install", "--auth-string", "004711")
	refused := f.call()
	refused.identify("4711")
	refused.end(7)
	f.installs("004711")
	f.nothingPending()

	f.capf("phone", "set", f.device, "--operation", "delete", "--auth", "null-string")
	deleting := f.call()
	deleting.identify("")
	deleting.expect(13, map[byte][]byte{})
	deleting.send(14, element(1, 1))
	deleting.end(1)
	f.nothingPending()
	if got := f.phone(f.device); got["status-text"] != "Delete Success" || got["lsc-status"] != "none" {
		f.t.Errorf("after the delete the phone reads %v", got)
	}
}

// nothingPending: version 2 is told so with reason 7 [C], version 3 with 0 [P].
func (f *foreignPhone) nothingPending() {
	f.t.Helper()
	idle := f.call()
	idle.identify("")
	idle.end(map[byte]byte{2: 7, 3: 0}[f.version])
}

// installs has OpenSSL make the key pair, and judge the certificate.
func (f *foreignPhone) installs(digits string) {
	f.t.Helper()
	key := openssl(f.t, nil, "genrsa", "1024")
	session := f.call()
	session.identify(digits)
	der := session.install(openssl(f.t, key, "pkey", "-pubout", "-outform", "DER"))

	folder := f.t.TempDir()
	authority, certificate := filepath.Join(folder, "authority.pem"), filepath.Join(folder, "certificate.pem")
	openssl(f.t, nil, "x509", "-inform", "DER", "-in", filepath.Join(f.data, "CAPF.cer"), "-out", authority)
	openssl(f.t, der, "x509", "-inform", "DER", "-out", certificate)
	for _, file := range []string{authority, f.certificateFile()} {
		openssl(f.t, nil, "verify", "-CAfile", file, certificate)
	}
	issuedFor := openssl(f.t, nil, "x509", "-in", certificate, "-noout", "-pubkey")
	if own := openssl(f.t, key, "pkey", "-pubout"); !bytes.Equal(issuedFor, own) {
		f.t.Errorf("the certificate is for\n%s, the phone's key is\n%s", issuedFor, own)
	}
	stored := f.certificates(f.device)
	if got := openssl(f.t, []byte(stored[0].PEM), "x509", "-outform", "DER"); len(stored) != 1 || stored[0].State != "confirmed" || !bytes.Equal(got, der) {
		f.t.Errorf("the store has %+v, the phone got %s", stored, hex.EncodeToString(der))
	}
}
