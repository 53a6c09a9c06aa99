// Package source finds the files of CAPF 1.0(1) in what was copied from one machine.
//
// Where they lie is the table of legacy-layout.md: phone records, configuration and certificates in
// `Program Files/Cisco/CAPF`, certificates and CAPF.cer in `Program Files/Cisco/Certificates`, names in any case. The
// folder may be the root of a copied disk, hold `Cisco` or `CAPF` and `Certificates` themselves, or be the one that
// the files lie in. Everything is opened through os.Root: nothing outside the folder is read, and nothing is written.
//
// In place of a folder there may be a zip, tar or tar.gz file of it. A zip file is read where it is; of a tar file what
// could be CAPF's by its name is unpacked into a temporary folder, through os.Root, so that no name can lead anywhere.
// Beside the files of 1.0(1) there may be the database of a *usecallmanager* daemon, with its write-ahead log and its
// capf.pem, and lists of phones (*.csv); a database or a list can also be the whole source.
package source

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
	Identity        Kind = "identity"         // capf.pem, a certificate with its key
	PhoneDatabase   Kind = "phone-database"   // SQLite
	DatabaseLog     Kind = "database-log"     // what belongs to a database and may hold its newest rows
	PhoneList       Kind = "phone-list"       // *.csv
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
	// Logs are the files that belong to a database: its write-ahead log or its rollback journal.
	Logs []File

	tree fs.FS
}

// Source is what was copied from one machine, read through once. Close it when its files are no longer needed.
type Source struct {
	Spec
	// Single tells that the source is one database or list, and not a folder with files.
	Single bool
	// Files are sorted by path. Several of a kind (`CAPF.phone` beside `capf.PHONE`, or one in either folder) are all
	// there.
	Files []File
	// Findings tell what was not read and why, and how a folder was taken.
	Findings legacy.Findings

	close func() error
	info  fs.FileInfo
}

// Open finds and digests the files of a machine. What is missing, or has none of them, is an error.
func Open(spec Spec) (*Source, error) { return open(spec, usualLimits) }

func open(spec Spec, bounds limits) (*Source, error) {
	clearTemporary()
	at, err := openPlace(spec.Folder, bounds)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", spec.Name, err)
	}
	out := &Source{Spec: spec, Single: at.only != "", close: at.close, info: at.info}
	if err := out.find(at); err != nil {
		return nil, errors.Join(fmt.Errorf("source %s: %w", spec.Name, err), at.close())
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
			if os.SameFile(other.info, opened.info) {
				return out, fmt.Errorf("sources %s and %s are the same %s: give it once", other.Name, spec.Name, opened.form())
			}
		}
	}
	return out, nil
}

func (s *Source) form() string {
	if s.info.IsDir() {
		return "folder"
	}
	return "file"
}

func (s *Source) find(at *place) error {
	finder := finder{tree: at.tree, base: at.base, findings: at.findings}
	if err := finder.searchAt(at); err != nil {
		return err
	}
	failed := &multierror.Error{ErrorFormat: legacy.OneLine}
	for i := range finder.files {
		failed = multierror.Append(failed, finder.files[i].digest())
	}
	finder.attachLogs()
	s.Findings, s.Files = finder.findings, finder.files
	slices.SortFunc(s.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	s.noteElsewhere(at.members)
	if err := s.checkFound(at); err != nil {
		return err
	}
	s.noteSeveral()
	return failed.ErrorOrNil()
}

// checkFound sees that there is something to read.
func (s *Source) checkFound(at *place) error {
	if len(s.Files) == 0 {
		if refused := s.refusedLink(at); refused != nil {
			return refused
		}
		if several := machinesBelow(s.Folder, at); several != nil {
			return several
		}
		return fmt.Errorf("no CAPF.phone, CAPF.cfg, CAPF.cer or *.0, and no database or list of phones in %s%s: give the root of the "+
			"copied disk, or the folder that holds the files", s.Folder, s.passedOver())
	}
	if err := s.checkOurs(); err != nil {
		return err
	}
	if len(s.Of(PhoneDatabase)) > 0 {
		return at.checkTemporary()
	}
	return nil
}

// passedOver names the first that was not read for a reason, since nobody sees the findings of a source that cannot be
// read; empty where there is none.
func (s *Source) passedOver() string {
	passed := slices.DeleteFunc(slices.Clone(s.Findings), func(f legacy.Finding) bool { return f.Severity != legacy.Warning })
	if len(passed) == 0 {
		return ""
	}
	said := fmt.Sprintf("%s %s", passed[0].Position, passed[0].Reason)
	if more := len(passed) - 1; more > 0 {
		said += fmt.Sprintf(", and %d more", more)
	}
	return " (" + said + ")"
}

// refusedLink says so where a file of CAPF is there, and is a symbolic link that leads out of the source or nowhere.
func (s *Source) refusedLink(at *place) error {
	if !at.info.IsDir() {
		return nil
	}
	for _, found := range s.Findings {
		target, err := os.Readlink(filepath.Join(s.Folder, filepath.FromSlash(found.File)))
		if err == nil && found.Severity == legacy.Warning {
			return fmt.Errorf("%s in %s is a symbolic link to %q, and links that lead out of a source are not followed: "+
				"copy what it leads to into its place, or give the folder that holds that", found.File, s.Folder, target)
		}
	}
	return nil
}

// noteElsewhere names the members that could be CAPF's by their names but do not lie where such files do.
func (s *Source) noteElsewhere(members []string) {
	told := map[string]bool{}
	for _, file := range s.Files {
		told[file.Path] = true
	}
	for _, found := range s.Findings {
		told[found.File] = true
	}
	for _, path := range members {
		if !told[path] {
			s.Findings.Warn(legacy.Position{File: path}, "does not lie in a folder of CAPF: not read")
		}
	}
}

// noteSeveral says where a machine has more than one phone record file or configuration, so that nobody is surprised
// that all of them are read.
func (s *Source) noteSeveral() {
	for _, kind := range []Kind{PhoneRecords, Configuration, CAPFCertificate} {
		files := s.Of(kind)
		for i := 1; i < len(files); i++ {
			s.Findings.Note(legacy.Position{File: files[i].Path},
				fmt.Sprintf("is read beside %s: the machine has more than one file of this kind", files[0].Path))
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

// Close ends the use of the source and gives up what was unpacked of it.
func (s *Source) Close() error { return s.close() }

// Input gives the file to a reader. What is read is compared with the digest: a file that changes meanwhile is an
// error at its end.
func (f File) Input() legacy.Input {
	return legacy.Input{File: f.Path, Open: func() (io.ReadCloser, error) {
		opened, err := f.tree.Open(f.Path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		return &checkedFile{file: f, opened: opened, hash: sha256.New()}, nil
	}}
}

func (f *File) digest() error {
	opened, err := f.tree.Open(f.Path)
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
