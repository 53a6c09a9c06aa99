package phone

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"capf/runtime/capf"

	"github.com/google/renameio/v2"
)

// What a phone keeps when it is switched off: in memory, or in a folder.

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
	lsc  *Identity
	mode capf.AuthMode
}

// NewMemoryFlash is a flash that keeps until the program ends. As the sessions of its phone, what is done with it
// is done one after the other.
func NewMemoryFlash() Flash { return new(memoryFlash) }

func (f *memoryFlash) LSC() (*Identity, error) { return f.lsc, nil }

func (f *memoryFlash) StoreLSC(lsc Identity) error {
	if err := lsc.check(); err != nil {
		return fmt.Errorf("LSC: %w", err)
	}
	f.lsc = &lsc
	return nil
}

func (f *memoryFlash) DeleteLSC() error {
	f.lsc = nil
	return nil
}

func (f *memoryFlash) Mode() (capf.AuthMode, error) { return f.mode, nil }

func (f *memoryFlash) SetMode(mode capf.AuthMode) error {
	f.mode = mode
	return nil
}

// The files of a phone in its folder. Certificate and private key are one file, so that they are replaced
// together or not at all.
const (
	lscFile  = "lsc.pem" // the certificate, then the PKCS #8 private key
	modeFile = "mode"    // one line

	flashFolderMode = 0o700
	flashFileMode   = 0o600
	maxFlashFile    = 64 << 10 // bytes; an RSA-4096 key and its certificate take about 6,000

	pemCertificate = "CERTIFICATE"
	pemPrivateKey  = "PRIVATE KEY"
)

// folderFlash keeps in a folder, below which nothing else is reached.
type folderFlash struct {
	path string // for errors
	root *os.Root
}

// OpenFolderFlash is the flash of one device: the folder of its name below the one given, made if absent.
// What is in it survives the program. The returned closer gives the folder back.
func OpenFolderFlash(folder, device string) (Flash, io.Closer, error) {
	name, err := capf.ParseDevice(device)
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(path, flashFolderMode); err != nil {
		return nil, nil, fmt.Errorf("flash of %s: %w", name, err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, nil, fmt.Errorf("flash of %s: %w", name, err)
	}
	return &folderFlash{path: path, root: root}, root, nil
}

func (f *folderFlash) LSC() (*Identity, error) {
	content, err := f.read(lscFile)
	if err != nil || content == nil {
		return nil, err
	}
	lsc, err := decodeLSC(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: delete the file to go on without an LSC", filepath.Join(f.path, lscFile), err)
	}
	return lsc, nil
}

func (f *folderFlash) StoreLSC(lsc Identity) error {
	if err := lsc.check(); err != nil {
		return fmt.Errorf("LSC: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(lsc.Key)
	if err != nil {
		return fmt.Errorf("private key of the LSC: %w", err)
	}
	content := pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: lsc.Certificate.Raw})
	return f.write(lscFile, append(content, pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: private})...))
}

func (f *folderFlash) DeleteLSC() error { return f.remove(lscFile) }

func (f *folderFlash) Mode() (capf.AuthMode, error) {
	content, err := f.read(modeFile)
	if err != nil || content == nil {
		return "", err
	}
	var mode capf.AuthMode
	if err := mode.UnmarshalText([]byte(strings.TrimSpace(string(content)))); err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Join(f.path, modeFile), err)
	}
	return mode, nil
}

func (f *folderFlash) SetMode(mode capf.AuthMode) error {
	if mode == "" {
		return f.remove(modeFile)
	}
	return f.write(modeFile, []byte(mode+"\n"))
}

// read is the whole of a file, nil where there is none.
func (f *folderFlash) read(name string) ([]byte, error) {
	file, err := f.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("flash %s: %w", f.path, err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxFlashFile+1))
	if err == nil && len(content) > maxFlashFile {
		err = fmt.Errorf("more than %d bytes", maxFlashFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(f.path, name), err)
	}
	return content, nil
}

// write replaces a file so that it is whole or the old one.
func (f *folderFlash) write(name string, content []byte) error {
	err := renameio.WriteFile(name, content, flashFileMode, renameio.WithRoot(f.root), renameio.WithStaticPermissions(flashFileMode))
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(f.path, name), err)
	}
	return nil
}

func (f *folderFlash) remove(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("flash %s: %w", f.path, err)
	}
	return nil
}

// decodeLSC reads exactly a certificate and its private key. Its errors show nothing of the content.
func decodeLSC(content []byte) (*Identity, error) {
	first, rest := pem.Decode(content)
	second, rest := pem.Decode(rest)
	if first == nil || second == nil || first.Type != pemCertificate || second.Type != pemPrivateKey || len(rest) > 0 {
		return nil, errors.New("not a certificate and its private key in PEM")
	}
	certificate, err := x509.ParseCertificate(first.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(second.Bytes)
	if err != nil {
		return nil, errors.New("the private key cannot be read")
	}
	key, is := parsed.(crypto.Signer)
	if !is {
		return nil, errors.New("the private key cannot sign")
	}
	return &Identity{Certificate: certificate, Key: key}, belongs(certificate, key)
}
