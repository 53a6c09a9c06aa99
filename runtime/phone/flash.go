package phone

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"

	"capf/runtime/capf"
)

// Identity is a certificate with its private key: an LSC, a MIC, or the secure unique device identifier
// (SUDI). The two are kept and replaced together.
type Identity struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// check refuses an identity that is not whole.
func (i Identity) check() error {
	if i.Certificate == nil || i.Key == nil {
		return errors.New("it must be a certificate and its private key")
	}
	return belongs(i.Certificate, i.Key)
}

// belongs says whether a certificate is for the public key of a pair.
func belongs(certificate *x509.Certificate, key crypto.Signer) error {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if !bytes.Equal(public, certificate.RawSubjectPublicKeyInfo) {
		return errors.New("the certificate is for another public key")
	}
	return nil
}

// Flash is what a phone keeps when it is switched off.
type Flash interface {
	// LSC is the one that is kept, nil if there is none.
	LSC() (*Identity, error)
	// StoreLSC replaces certificate and key together, or leaves both as they are.
	StoreLSC(Identity) error
	// DeleteLSC removes certificate and key; having none is no error.
	DeleteLSC() error
	// Mode is the authentication mode of an operation that has not ended, empty if there is none.
	Mode() (capf.AuthMode, error)
	// SetMode keeps the mode; empty clears it.
	SetMode(capf.AuthMode) error
}

// memoryFlash keeps until the program ends.
type memoryFlash struct {
	guard sync.Mutex
	lsc   *Identity
	mode  capf.AuthMode
}

// NewMemoryFlash is a flash that keeps until the program ends.
func NewMemoryFlash() Flash { return new(memoryFlash) }

func (f *memoryFlash) LSC() (*Identity, error) {
	f.guard.Lock()
	defer f.guard.Unlock()
	if f.lsc == nil {
		return nil, nil
	}
	own := *f.lsc
	return &own, nil
}

func (f *memoryFlash) StoreLSC(lsc Identity) error {
	if err := lsc.check(); err != nil {
		return fmt.Errorf("LSC: %w", err)
	}
	f.guard.Lock()
	defer f.guard.Unlock()
	f.lsc = &lsc
	return nil
}

func (f *memoryFlash) DeleteLSC() error {
	f.guard.Lock()
	defer f.guard.Unlock()
	f.lsc = nil
	return nil
}

func (f *memoryFlash) Mode() (capf.AuthMode, error) {
	f.guard.Lock()
	defer f.guard.Unlock()
	return f.mode, nil
}

func (f *memoryFlash) SetMode(mode capf.AuthMode) error {
	f.guard.Lock()
	defer f.guard.Unlock()
	f.mode = mode
	return nil
}
