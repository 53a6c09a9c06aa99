// Package source finds the files of CAPF 1.0(1) in a folder that was copied from one machine.
//
// Where they lie is the table of legacy-layout.md: phone records, configuration and certificates in
// `Program Files/Cisco/CAPF`, certificates and CAPF.cer in `Program Files/Cisco/Certificates`, names in any case. The
// folder may be the root of a copied disk, hold `Cisco` or `CAPF` and `Certificates` themselves, or be the one that
// the files lie in. Everything is opened through os.Root: nothing outside the folder is read, and nothing is written.
package source

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"capf/legacy"
)

// Kind says what a file is for.
type Kind string

// The kinds of files.
const (
	PhoneRecords    Kind = "phone-records"    // CAPF.phone
	Configuration   Kind = "configuration"    // CAPF.cfg
	Certificates    Kind = "certificates"     // *.0
	CAPFCertificate Kind = "capf-certificate" // CAPF.cer
)

// Folder says which of the two folders a file counts as lying in. It matters for trust: a self-signed certificate
// that names CAPF is an anchor only if it lies in the CAPF folder.
type Folder string

// The folders.
const (
	CAPFFolder         Folder = "CAPF"
	CertificatesFolder Folder = "Certificates"
)

// File is a file that was found.
type File struct {
	Kind   Kind
	Folder Folder
	// Path is below the machine's folder, slash separated, as found.
	Path string
	Size int64
	// SHA256 is over the whole content.
	SHA256 [sha256.Size]byte

	root *os.Root
}

// Source is the folder of one machine, read through once. Close it when its files are no longer needed.
type Source struct {
	Spec
	// Files are sorted by path. Several of a kind (`CAPF.phone` beside `capf.PHONE`, or one in either folder) are all
	// there.
	Files []File
	// Findings tell what was not read and why, and how a folder was taken.
	Findings []legacy.Finding

	root *os.Root
}

// Open finds and digests the files of a machine. A folder that is missing, or has none of them, is an error.
func Open(spec Spec) (*Source, error) {
	info, err := os.Stat(spec.Folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("source %s: folder %s is not there: check the path", spec.Name, spec.Folder)
	case err != nil:
		return nil, fmt.Errorf("source %s: %w", spec.Name, err)
	case !info.IsDir():
		return nil, fmt.Errorf("source %s: %s is not a folder", spec.Name, spec.Folder)
	}
	root, err := os.OpenRoot(spec.Folder)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", spec.Name, err)
	}
	out := &Source{Spec: spec, root: root}
	if err := out.find(); err != nil {
		return nil, errors.Join(fmt.Errorf("source %s: %w", spec.Name, err), root.Close())
	}
	return out, nil
}

// OpenAll opens the machines of one run. Two sources that are the same folder are an error: its phones would come from
// two machines. After an error none is open.
func OpenAll(specs []Spec) (out []*Source, err error) {
	defer func() {
		if err == nil {
			return
		}
		for _, opened := range out {
			err = errors.Join(err, opened.Close())
		}
		out = nil
	}()
	for _, spec := range specs {
		opened, err := Open(spec)
		if err != nil {
			return out, err
		}
		out = append(out, opened)
		for _, other := range out[:len(out)-1] {
			if sameFolder(other.root, opened.root) {
				return out, fmt.Errorf("sources %s and %s are the same folder: give it once", other.Name, spec.Name)
			}
		}
	}
	return out, nil
}

func sameFolder(one, other *os.Root) bool {
	first, err := one.Stat(".")
	if err != nil {
		return false
	}
	second, err := other.Stat(".")
	return err == nil && os.SameFile(first, second)
}

func (s *Source) find() error {
	finder := finder{root: s.root, base: s.Folder}
	if err := finder.search(); err != nil {
		return err
	}
	s.Findings, s.Files = finder.findings, finder.files
	if len(s.Files) == 0 {
		return fmt.Errorf("no CAPF.phone, CAPF.cfg, CAPF.cer or *.0 in %s: give the root of the copied disk, "+
			"or the folder that holds the files", s.Folder)
	}
	slices.SortFunc(s.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	failed := &multierror.Error{ErrorFormat: legacy.OneLine}
	for i := range s.Files {
		failed = multierror.Append(failed, s.Files[i].digest())
	}
	s.noteSeveral()
	return failed.ErrorOrNil()
}

// noteSeveral says where a machine has more than one phone record file or configuration, so that nobody is surprised
// that all of them are read.
func (s *Source) noteSeveral() {
	for _, kind := range []Kind{PhoneRecords, Configuration, CAPFCertificate} {
		files := s.Of(kind)
		for i := 1; i < len(files); i++ {
			s.Findings = append(s.Findings, legacy.Finding{
				Position: legacy.Position{File: files[i].Path}, Severity: legacy.Note,
				Reason: fmt.Sprintf("is read beside %s: the machine has more than one file of this kind", files[0].Path),
			})
		}
	}
}

// Of gives the files of one kind, sorted by path.
func (s *Source) Of(kind Kind) []File {
	return slices.DeleteFunc(slices.Clone(s.Files), func(file File) bool { return file.Kind != kind })
}

// Digest is over paths, kinds, folders and contents of all files: equal where nothing has changed. The name of the
// machine and the place of its folder are not in it.
func (s *Source) Digest() [sha256.Size]byte {
	hash := sha256.New()
	for _, file := range s.Files {
		fmt.Fprintf(hash, "%q %s %s %d %x\n", file.Path, file.Kind, file.Folder, file.Size, file.SHA256)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// Close ends the use of the folder.
func (s *Source) Close() error { return s.root.Close() }

// Input gives the file to a reader. What is read is compared with the digest: a file that changes meanwhile is an
// error at its end.
func (f File) Input() legacy.Input {
	return legacy.Input{File: f.Path, Open: func() (io.ReadCloser, error) {
		opened, err := openRegular(f.root, f.Path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		return &checkedFile{file: f, opened: opened, hash: sha256.New()}, nil
	}}
}

func (f *File) digest() error {
	opened, err := openRegular(f.root, f.Path)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	defer opened.Close()
	hash := sha256.New()
	if f.Size, err = io.Copy(hash, opened); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	f.SHA256 = [sha256.Size]byte(hash.Sum(nil))
	return nil
}

// openRegular opens a file that is still a regular one: a pipe in its place would block, a device never end.
func openRegular(root *os.Root, path string) (*os.File, error) {
	info, err := root.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file any more")
	}
	return root.Open(path)
}
