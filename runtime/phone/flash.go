package phone

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"sync"

	"capf/runtime/capf"
)

// LSC is a certificate with its private key. The two are kept and replaced together.
type LSC struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// check refuses an LSC that is not whole.
func (l LSC) check() error {
	if l.Certificate == nil || l.Key == nil {
		return errors.New("an LSC is a certificate and its private key")
	}
	return belongs(l.Certificate, l.Key)
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
	LSC() (*LSC, error)
	// StoreLSC replaces certificate and key together, or leaves both as they are.
	StoreLSC(LSC) error
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
	lsc   *LSC
	mode  capf.AuthMode
}

// NewMemoryFlash is a flash that keeps until the program ends.
func NewMemoryFlash() Flash { return new(memoryFlash) }

func (f *memoryFlash) LSC() (*LSC, error) {
	f.guard.Lock()
	defer f.guard.Unlock()
	if f.lsc == nil {
		return nil, nil
	}
	own := *f.lsc
	return &own, nil
}

func (f *memoryFlash) StoreLSC(lsc LSC) error {
	if err := lsc.check(); err != nil {
		return err
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
