package daemon

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"capf/runtime/ca"
	"capf/runtime/session"
)

// identity is the CAPF identity in force. `capf ca activate` may replace it while phones are served: it is
// looked at for every connection, by one stat, and read again where its file is another.
type identity struct {
	directory   string
	environment ca.Environment
	log         *slog.Logger

	mu        sync.Mutex
	authority *ca.Authority
	seen      os.FileInfo // of the file that it was read from
	failed    os.FileInfo // a newer one that could not be read
	keys      ownKeys

	past pastAuthorities
}

// openIdentity reads the identity for the first time. CodeNotActivated where there is none.
func openIdentity(directory string, environment ca.Environment, log *slog.Logger) (*identity, error) {
	i := &identity{directory: directory, environment: environment, log: log}
	if seen, err := os.Stat(ca.IdentityPath(directory)); err == nil {
		i.seen = seen // where there is none yet, the next look reads it again
	}
	var err error
	i.authority, err = ca.Load(directory, environment)
	if err != nil {
		return nil, err
	}
	if err := i.ready(i.authority); err != nil {
		return nil, err
	}
	return i, nil
}

// ready opens the token in which the key lies, where it does, and says what falls away with it.
func (i *identity) ready(authority *ca.Authority) error {
	notes, err := authority.Ready()
	for _, note := range notes {
		i.log.Warn(note)
	}
	return err
}

// Authority gives the identity in force. One that cannot be read does not end the service: the one before
// serves on, and the log says so, once.
func (i *identity) Authority() *ca.Authority {
	i.mu.Lock()
	defer i.mu.Unlock()
	present, err := os.Stat(ca.IdentityPath(i.directory))
	if err != nil || sameFile(present, i.seen) || sameFile(present, i.failed) {
		return i.authority
	}
	next, err := ca.Load(i.directory, i.environment)
	if err == nil {
		err = i.ready(next)
	}
	if err != nil {
		i.failed = present
		i.log.Error("the CAPF identity was replaced by one that cannot be read; the one before serves on", "error", err)
		return i.authority
	}
	if !next.Certificate.Equal(i.authority.Certificate) {
		i.log.Info("a new CAPF certificate is in force; sessions that have begun end with the one before",
			"name", next.Name(), "before", i.authority.Name())
	}
	i.authority, i.seen, i.failed = next, present, nil
	return i.authority
}

// Certificate gives the CAPF certificate in force.
func (i *identity) Certificate() *x509.Certificate { return i.Authority().Certificate }

func sameFile(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// ownKeys are the public keys of all CAPF certificates as they were when the folder of the keys last changed.
type ownKeys struct {
	changed time.Time // the folder, when they were read; zero: read again
	known   [][]byte  // SubjectPublicKeyInfo
}

// racy is how long after a change of a folder another one may leave it the same time.
const racy = time.Second

// IsOwnKey reports whether a public key is CAPF's: in force, next or past.
func (i *identity) IsOwnKey(publicKey []byte) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	folder, err := os.Stat(ca.KeyFolder(i.directory))
	if err != nil {
		return false, fmt.Errorf("look for CAPF keys: %w", err)
	}
	if i.keys.changed.IsZero() || !i.keys.changed.Equal(folder.ModTime()) {
		certificates, err := ca.Certificates(i.directory)
		if err != nil {
			return false, err
		}
		i.keys = ownKeys{}
		for _, one := range certificates {
			i.keys.known = append(i.keys.known, one.RawSubjectPublicKeyInfo)
		}
		if time.Since(folder.ModTime()) > racy {
			i.keys.changed = folder.ModTime()
		}
	}
	for _, known := range i.keys.known {
		if bytes.Equal(known, publicKey) {
			return true, nil
		}
	}
	return bytes.Equal(i.authority.Certificate.RawSubjectPublicKeyInfo, publicKey), nil
}

// Current gives the certificate for handshakes and who signs under it, as they are in force now.
func (i *identity) Current() (tls.Certificate, session.Issuer) {
	authority := i.Authority()
	return authority.TLS(), authority
}
