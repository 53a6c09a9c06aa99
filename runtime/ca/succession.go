package ca

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"capf/internal/durable"
	"capf/internal/filelock"
	"capf/runtime/capf"
)

// A CAPF certificate has a successor in three steps, with time between them (*Two CAPF certificates* of the
// guide): it is made and lies beside the one in force; lists and servers get it; it is put in force. In the
// folder of the keys stand then, each file with a certificate and its key, mode 0600:
//
//	capf.pem            in force
//	next.pem            made, not in force yet
//	old-<serial>.pem    in force before; its key signs the CRL of what it issued
const (
	nextFile  = "next.pem"
	oldPrefix = "old-"
	oldSuffix = ".pem"
)

// MakeNext makes the key and certificate that are to follow those in force, and puts them beside. Where the
// options are empty the names and the key size of the certificate in force hold, save the common name: that is
// a file name on every server, where both must lie, so it is a new one and may be none of taken, in any case of
// letters. One that is there already stays (CodeConflict) unless replace says otherwise.
func MakeNext(directory string, options Options, taken []string, replace bool, environment Environment) (*Authority, error) {
	unlock, err := lockKeys(directory)
	if err != nil {
		return nil, err
	}
	defer unlock()
	current, err := Load(directory, environment)
	if err != nil {
		return nil, err
	}
	if err := options.follow(current, taken); err != nil {
		return nil, err
	}
	path := filepath.Join(directory, keyFolder, nextFile)
	if present, err := loadFile(path, environment); !replace && !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return nil, err
		}
		return nil, &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("there is a next CAPF certificate already, %s", present.Name()),
			Hint: "put it in force with `capf ca activate`, or make another with --replace"}
	}
	return writeNext(path, options, environment)
}

func writeNext(path string, options Options, environment Environment) (*Authority, error) {
	next, err := New(options, environment)
	if err != nil {
		return nil, err
	}
	content, err := next.encode()
	if err != nil {
		return nil, err
	}
	if err := writeWhole(path, content, 0o600); err != nil {
		return nil, err
	}
	return next, durable.SyncFolder(filepath.Dir(path))
}

// follow fills what was left open and refuses a name that is in use.
func (o *Options) follow(current *Authority, taken []string) error {
	subject := current.Certificate.Subject
	if o.Organization == "" && len(subject.Organization) > 0 {
		o.Organization = subject.Organization[0]
	}
	if o.OrganizationalUnit == "" && len(subject.OrganizationalUnit) > 0 {
		o.OrganizationalUnit = subject.OrganizationalUnit[0]
	}
	if current.InToken() != "" && o.NewKey == nil && !o.KeyInFile {
		return &capf.Error{Code: capf.CodeRefused, Message: "the CAPF key in force lies in a token, and the next one would lie in a file",
			Hint: "name its token with --pkcs11 URI, or say --key-in-file"}
	}
	if key, isRSA := current.Certificate.PublicKey.(*rsa.PublicKey); isRSA && o.KeySize == 0 {
		o.KeySize = max(2048, key.N.BitLen())
	}
	for _, name := range append(taken, current.Name()) {
		if strings.EqualFold(name, o.CommonName) {
			return &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("the common name %q is that of a CAPF certificate that phones and servers know", o.CommonName),
				Hint: "choose another: both certificates lie in one folder on every server, each as <common name>.0"}
		}
	}
	return nil
}

// Next reads the certificate that is to follow, with its key. CodeNotFound where there is none.
func Next(directory string, environment Environment) (*Authority, error) {
	next, err := loadFile(filepath.Join(directory, keyFolder, nextFile), environment)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &capf.Error{Code: capf.CodeNotFound, Message: "there is no next CAPF certificate", Hint: "make one with `capf ca renew`"}
	}
	return next, err
}

// Past reads the certificates that were in force before, with their keys, ordered by serial number.
func Past(directory string, environment Environment) ([]*Authority, error) {
	names, err := fs.Glob(os.DirFS(KeyFolder(directory)), oldPrefix+"*"+oldSuffix)
	if err != nil {
		return nil, fmt.Errorf("look for earlier CAPF certificates: %w", err)
	}
	current, err := Load(directory, environment)
	if err != nil && !capf.HasCode(err, capf.CodeNotActivated) {
		return nil, err
	}
	var past []*Authority
	for _, name := range names {
		one, err := loadFile(filepath.Join(KeyFolder(directory), name), environment)
		if err != nil {
			return nil, err
		}
		// An activation that was cut off leaves the one in force under both names.
		if current == nil || !one.Certificate.Equal(current.Certificate) {
			past = append(past, one)
		}
	}
	return past, nil
}

// Certificates reads the certificates of all CAPF keys of a data directory: in force, next and past ones. It
// does not touch the keys.
func Certificates(directory string) ([]*x509.Certificate, error) {
	folder := os.DirFS(filepath.Join(directory, keyFolder))
	names, err := fs.Glob(folder, "*.pem")
	if err != nil {
		return nil, fmt.Errorf("look for CAPF certificates: %w", err)
	}
	var all []*x509.Certificate
	for _, name := range names {
		content, err := fs.ReadFile(folder, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // renamed just now: it is there under another name
		}
		if err != nil {
			return nil, fmt.Errorf("read CAPF certificates: %w", err)
		}
		block, _ := pem.Decode(content)
		if block == nil || block.Type != "CERTIFICATE" {
			continue // nothing of ours
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, damaged(name, err)
		}
		all = append(all, certificate)
	}
	return all, nil
}

// PastKeeper is where a past CAPF certificate goes on to vouch for what it issued, and where it is told who put
// which in force.
type PastKeeper interface {
	// KeepPastAuthority makes it an anchor for LSCs, once, and notes that its successor is about to be in force.
	KeepPastAuthority(ctx context.Context, past, successor *x509.Certificate, actor string) error
	// RecordActivation notes that a certificate is in force, once, where it was noted that it was about to be;
	// note says why that comes late, empty where it does not.
	RecordActivation(ctx context.Context, inForce *x509.Certificate, note string) (recorded bool, err error)
}

// CutOff is the note of RecordActivation where the activation was cut off between the rename and the record.
const CutOff = "the activation was cut off, and this is recorded after it"

// Succession puts the next CAPF certificate in force. Whatever interrupts it, either the one or the other is
// in force with its key, and to run it again completes it.
type Succession struct {
	Directory   string
	Environment Environment
	Keeper      PastKeeper
	Actor       string

	after func(step string) error // where a test interrupts; nil: nowhere
}

// Run puts this next certificate in force, if it is still the one that lies there. The one before is made an
// anchor first: there is no moment in which what it issued is not trusted.
func (s Succession) Run(ctx context.Context, next *Authority) error {
	unlock, err := lockKeys(s.Directory)
	if err != nil {
		return err
	}
	defer unlock()
	current, err := Load(s.Directory, s.Environment)
	if err != nil {
		return err
	}
	if err := s.check(next); err != nil {
		return err
	}
	for _, step := range s.steps(ctx, current, next) {
		if err := step.do(); err != nil {
			return interrupted(err)
		}
		if s.after == nil {
			continue
		}
		if err := s.after(step.name); err != nil {
			return err
		}
	}
	return nil
}

// step is a part of a succession, between which and the next it may be cut off.
type step struct {
	name string
	do   func() error
}

func (s Succession) steps(ctx context.Context, current, next *Authority) []step {
	folder := filepath.Join(s.Directory, keyFolder)
	old := filepath.Join(folder, oldPrefix+capf.FormatSerial(current.Certificate.SerialNumber)+oldSuffix)
	record := func(one *Authority, note string) error {
		_, err := s.Keeper.RecordActivation(ctx, one.Certificate, note)
		return err
	}
	return []step{
		{"record of the one before", func() error { return record(current, CutOff) }},
		{"anchor", func() error { return s.Keeper.KeepPastAuthority(ctx, current.Certificate, next.Certificate, s.Actor) }},
		{"old key", func() error { return linkOnce(filepath.Join(folder, identityFile), old) }},
		{"folder", func() error { return durable.SyncFolder(folder) }},
		{"in force", func() error { return os.Rename(filepath.Join(folder, nextFile), filepath.Join(folder, identityFile)) }},
		{"folder again", func() error { return durable.SyncFolder(folder) }},
		{"record", func() error { return record(next, "") }},
		{"files", func() error { _, err := finish(s.Directory, s.Environment); return err }},
	}
}

func interrupted(err error) error {
	if known := new(capf.Error); errors.As(err, &known) {
		return err
	}
	return &capf.Error{Code: capf.CodeUnavailable, Message: "put the next CAPF certificate in force", Err: err,
		Hint: "check space and permissions, and run `capf ca activate` again"}
}

// check sees that the certificate is still the next one, and in its time.
func (s Succession) check(next *Authority) error {
	present, err := Next(s.Directory, s.Environment)
	if err != nil {
		return err
	}
	if !present.Certificate.Equal(next.Certificate) {
		return &capf.Error{Code: capf.CodeConflict, Message: "the next CAPF certificate was replaced meanwhile", Hint: "run it again"}
	}
	_, err = next.now()
	return err
}

// linkOnce gives a file a second name; one that has it already must be the same.
func linkOnce(from, to string) error {
	err := os.Link(from, to)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	ours, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	present, err := os.ReadFile(to)
	if err != nil {
		return err
	}
	if !bytes.Equal(ours, present) {
		return fmt.Errorf("%s is there and holds another key; move it away", to)
	}
	return nil
}

// Finish completes what an interrupted Run may have left when the next certificate is in force already: it
// records that, and brings CAPF.cer and `<common name>.0` in line. It reports whether anything was needed.
func (s Succession) Finish(ctx context.Context) (needed bool, err error) {
	unlock, err := lockKeys(s.Directory)
	if err != nil {
		return false, err
	}
	defer unlock()
	current, err := Load(s.Directory, s.Environment)
	if err != nil {
		return false, err
	}
	recorded, err := s.Keeper.RecordActivation(ctx, current.Certificate, CutOff)
	if err != nil {
		return false, err
	}
	changed, err := finish(s.Directory, s.Environment)
	return recorded || changed, err
}

func finish(directory string, environment Environment) (changed bool, err error) {
	current, err := Load(directory, environment)
	if err != nil {
		return false, err
	}
	changed, err = current.writeCertificate(directory)
	if err != nil {
		return changed, err
	}
	past, err := Past(directory, environment)
	if err != nil {
		return changed, err
	}
	for _, one := range past {
		removed, err := one.removeCertificate(directory)
		if err != nil {
			return changed, err
		}
		changed = changed || removed
	}
	return changed, nil
}

// removeCertificate takes away the `.0` file of a certificate that is in force no more, where it is still what
// was written there.
func (a *Authority) removeCertificate(directory string) (removed bool, err error) {
	name := a.Name() + dotZero
	path := filepath.Join(directory, name)
	if present, err := os.ReadFile(path); err != nil || !bytes.Equal(present, a.CertificateFiles()[name]) {
		return false, nil
	}
	if err := os.Remove(path); err != nil {
		return false, &capf.Error{Code: capf.CodeUnavailable, Message: "remove " + path, Err: err, Hint: "check permissions"}
	}
	return true, nil
}

// lockKeys lets one process at a time change which keys there are. Whoever only reads needs no lock: every
// change is one rename.
func lockKeys(directory string) (unlock func() error, err error) {
	path := filepath.Join(directory, keyFolder)
	unlock, err = filelock.LockFolder(path, lockWithin)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, notActivated(directory)
	case errors.Is(err, filelock.ErrHeld):
		return nil, &capf.Error{Code: capf.CodeBusy, Message: "another command, or the service, is at the CAPF keys", Hint: "try again when that has ended"}
	case err != nil:
		return nil, &capf.Error{Code: capf.CodeUnavailable, Message: "lock " + path, Err: err, Hint: "check the folder's owner and mode"}
	}
	return unlock, nil
}

// lockWithin is how long a lock is waited for: the service needs it for a moment, when it starts and after each
// activation. A command may have it for longer.
const lockWithin = time.Second
