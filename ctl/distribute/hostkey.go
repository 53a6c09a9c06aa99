package distribute

import (
	"bufio"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"capf/internal/plain"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys are the keys by which servers are known. None is ever added from here: whoever stands between would
// only have to be there the first time.
type hostKeys struct {
	path        string
	check       ssh.HostKeyCallback
	authorities map[int]bool // the lines that have no key of a host, but of who certifies some
}

// loadHostKeys reads a file in the format of ssh(1). One that is not there knows nobody.
func loadHostKeys(path string) (*hostKeys, error) {
	files := []string{path}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		files = nil
	}
	check, err := knownhosts.New(files...)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w; mend the file", err)
	}
	authorities, err := authorityLines(path)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w", err)
	}
	return &hostKeys{path, check, authorities}, nil
}

// verify is the ssh.HostKeyCallback.
func (k *hostKeys) verify(address string, remote net.Addr, key ssh.PublicKey) error {
	if certificate, ok := key.(*ssh.Certificate); ok {
		return k.verifyCertificate(address, remote, certificate)
	}
	place := k.place(address)
	err := k.check(place, remote, key)
	var unknown *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revoked):
		return fmt.Errorf("%w: %s is marked as revoked in %s, line %d; do not log in there before its administrator has given it a new one",
			errHostKeyRevoked, describeKey(key), revoked.Revoked.Filename, revoked.Revoked.Line)
	case errors.As(err, &unknown) && (len(unknown.Want) == 0 || place != address): // what another port has is no change of this one
		return fmt.Errorf("%w: %s shows %s, and %s has none for it; compare that with `ssh-keygen -lf` on the server itself, then: %s",
			errHostKeyUnknown, address, describeKey(key), k.path, k.add(address, key))
	case errors.As(err, &unknown):
		authorities, keys := k.split(unknown.Want)
		if len(keys) == 0 {
			return k.withoutCertificate(address, key, authorities[0])
		}
		known := sameKind(keys, key)
		return fmt.Errorf("%w: %s shows %s, but %s, line %d, has %s; somebody may stand between. If the server really has a new one, as `ssh-keygen -lf` there shows: ssh-keygen -f %s -R %s && %s",
			errHostKeyChanged, address, describeKey(key), known.Filename, known.Line, describeKey(known.Key),
			shellWord(k.path), shellWord(knownhosts.Normalize(address)), k.add(address, key))
	}
	return fmt.Errorf("host key of %s: %w", address, err)
}

// What may be wrong with a host key.
var (
	errHostKeyUnknown = errors.New("the host key is not known")
	errHostKeyChanged = errors.New("the host key has changed")
	errHostKeyRevoked = errors.New("the host key is revoked")
)

func describeKey(key ssh.PublicKey) string { return key.Type() + " " + ssh.FingerprintSHA256(key) }

// sameKind gives the known key of the type that is shown, else the first.
func sameKind(known []knownhosts.KnownKey, shown ssh.PublicKey) knownhosts.KnownKey {
	i := slices.IndexFunc(known, func(k knownhosts.KnownKey) bool { return k.Key.Type() == shown.Type() })
	return known[max(i, 0)]
}

// add gives the command that makes the key known: this very key, not the one that a second look would bring.
func (k *hostKeys) add(address string, key ssh.PublicKey) string {
	return "echo " + shellWord(knownhosts.Line([]string{address}, key)) + " >>" + shellWord(k.path)
}

func shellWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// place gives the address under which a server is looked for: its own, or without its port where nothing is known of that,
// as ssh(1) does. In a known-hosts file a line without a port is for port 22.
func (k *hostKeys) place(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == sshPort || len(k.known(address)) > 0 {
		return address
	}
	if plain := net.JoinHostPort(host, sshPort); len(k.known(plain)) > 0 {
		return plain
	}
	return address
}

const sshPort = "22"

// known gives what is known of a server.
func (k *hostKeys) known(address string) []knownhosts.KnownKey {
	probe, err := ssh.NewPublicKey(make(ed25519.PublicKey, ed25519.PublicKeySize))
	if err != nil {
		return nil // not reached: the key has its size
	}
	var unknown *knownhosts.KeyError
	if errors.As(k.check(address, &net.TCPAddr{}, probe), &unknown) {
		return unknown.Want
	}
	return nil
}

// algorithms gives the kinds of host key to ask for, those that are known of the server first: it shows one only,
// and another kind than the known one would look like a change. Certificates come before them where an authority is
// known, and are not asked for elsewhere.
func (k *hostKeys) algorithms(address string) []string {
	authorities, keys := k.split(k.known(k.place(address)))
	var known []string
	for _, one := range keys {
		known = append(known, signaturesOf(one.Key.Type())...)
	}
	var certified, first, then []string
	for _, algorithm := range ssh.SupportedAlgorithms().HostKeys {
		switch {
		case strings.Contains(algorithm, "-cert-"):
			certified = append(certified, algorithm)
		case slices.Contains(known, algorithm):
			first = append(first, algorithm)
		default:
			then = append(then, algorithm)
		}
	}
	if len(authorities) == 0 {
		certified = nil
	}
	return slices.Concat(certified, first, then)
}

// signaturesOf gives the signatures of a kind of key. RSA keys do not sign by SHA-1 here.
func signaturesOf(kind string) []string {
	if kind == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{kind}
}

// checkSFTPURL refuses what would be lost, or kept where others read it.
func checkSFTPURL(address *url.URL) error {
	_, secret := address.User.Password()
	switch {
	case secret:
		return errors.New("the target has a password, which the store must not keep: leave it out, see the README for where it belongs")
	case address.Hostname() == "" || address.Opaque != "":
		return fmt.Errorf("target %s: write sftp://name@host:port/folder", address.Redacted())
	case !plainWord(address.Hostname()) || !plain.IsPrintable(address.User.Username()):
		return fmt.Errorf("target %q: host or name has characters that it should not have", address.Redacted())
	case !strings.HasPrefix(address.Path, "/") || !plain.IsPrintable(address.Path):
		return fmt.Errorf("target %s: the folder must be there and absolute: write sftp://name@host:port/folder", address.Redacted())
	case address.RawQuery != "" || address.Fragment != "":
		return fmt.Errorf("target %s: write %%3F and %%23 for ? and #", address.Redacted())
	case slices.Contains(strings.Split(address.Path, "/"), ".."):
		return fmt.Errorf("target %s: has `..`", address.Redacted())
	}
	return nil
}

func plainWord(text string) bool {
	return plain.IsPrintable(text) && !strings.ContainsAny(text, " /\\'\"`$|*?,#@")
}

// hostAndPort gives the server's address as it is dialled.
func hostAndPort(address *url.URL) string {
	port := address.Port()
	if port == "" {
		port = "22"
	}
	return net.JoinHostPort(strings.ToLower(address.Hostname()), port)
}

// markerAuthority is before the key of who certifies hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
const markerAuthority = "@cert-authority"

// authorityLines gives the lines of a known-hosts file, from 1, with such a key: knownhosts.KeyError does not tell them
// from those with keys of hosts.
func authorityLines(path string) (map[int]bool, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines, at := map[int]bool{}, 0
	for scanner := bufio.NewScanner(file); ; {
		if !scanner.Scan() {
			return lines, scanner.Err()
		}
		at++
		if words := strings.Fields(scanner.Text()); len(words) > 0 && words[0] == markerAuthority {
			lines[at] = true
		}
	}
}

// split tells the authorities that are known for a server from the keys that are.
func (k *hostKeys) split(known []knownhosts.KnownKey) (authorities, keys []knownhosts.KnownKey) {
	for _, one := range known {
		if k.authorities[one.Line] {
			authorities = append(authorities, one)
		} else {
			keys = append(keys, one)
		}
	}
	return authorities, keys
}

// verifyCertificate judges a host by its certificate where an authority of the known hosts has made it, else by the
// key in it, as ssh(1) does.
func (k *hostKeys) verifyCertificate(address string, remote net.Addr, certificate *ssh.Certificate) error {
	place := k.place(address)
	authorities, _ := k.split(k.known(place))
	i := slices.IndexFunc(authorities, func(one knownhosts.KnownKey) bool {
		return string(one.Key.Marshal()) == string(certificate.SignatureKey.Marshal())
	})
	if i < 0 {
		return k.verify(address, remote, certificate.Key)
	}
	if err := k.check(place, remote, certificate); err != nil {
		return fmt.Errorf("%w, by the authority in %s, line %d: %w; have it make a new one for the server", errHostCertificate, k.path, authorities[i].Line, plainError(err))
	}
	return nil
}

var errHostCertificate = errors.New("the certificate of the host key is not valid")

// withoutCertificate is for a server of which only the authority is known, and that shows a key which that has not
// certified.
func (k *hostKeys) withoutCertificate(address string, key ssh.PublicKey, authority knownhosts.KnownKey) error {
	return fmt.Errorf("%w: %s shows %s without a certificate of the authority %s in %s, line %d; have the server show one (HostCertificate in its sshd_config), or compare the key with `ssh-keygen -lf` on the server itself, then: %s",
		errHostKeyUnknown, address, describeKey(key), describeKey(authority.Key), k.path, authority.Line, k.add(address, key))
}
