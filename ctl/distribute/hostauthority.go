package distribute

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

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
