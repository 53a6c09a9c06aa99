package source

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"capf/legacy"
)

// finder goes through the folders that files may lie in.
type finder struct {
	tree     fs.FS
	base     string // as the administrator gave it, for the folder's own name
	files    []File
	findings legacy.Findings
	visited  []fs.FileInfo
}

// searchAt finds the files of a source: in its folders, or the one that it is.
func (f *finder) searchAt(at *place) error {
	if at.only == "" {
		return f.search()
	}
	f.files = append(f.files, File{Kind: at.kind, Folder: CAPFFolder, Path: at.only, tree: f.tree})
	for _, ending := range logEndings {
		if info, err := fs.Stat(f.tree, at.only+ending); err == nil && info.Mode().IsRegular() && at.kind == PhoneDatabase {
			f.files = append(f.files, File{Kind: DatabaseLog, Folder: CAPFFolder, Path: at.only + ending, tree: f.tree})
		}
	}
	return nil
}

// search looks below `Program Files/Cisco`, `Cisco` and the folder itself for the two folders, and in the folder
// itself for files.
func (f *finder) search() error {
	parents := []string{"."}
	for _, chain := range [][]string{{"Cisco"}, {"Program Files", "Cisco"}} {
		found, err := f.descend([]string{"."}, chain)
		if err != nil {
			return err
		}
		parents = append(parents, found...)
	}
	for _, folder := range []Folder{CAPFFolder, CertificatesFolder} {
		found, err := f.descend(parents, []string{string(folder)})
		if err != nil {
			return err
		}
		for _, place := range found {
			if err := f.collect(place, folder); err != nil {
				return err
			}
		}
	}
	return f.collectDirect()
}

// descend follows a chain of folder names in any case; where two differ by case only, it follows both.
func (f *finder) descend(places, chain []string) ([]string, error) {
	for _, name := range chain {
		var below []string
		for _, place := range places {
			entries, err := fs.ReadDir(f.tree, place)
			if err != nil {
				return nil, err
			}
			for _, entry := range entries {
				found := path.Join(place, entry.Name())
				if strings.EqualFold(entry.Name(), name) && f.isFolder(found) {
					below = append(below, found)
				}
			}
		}
		places = below
	}
	return places, nil
}

// isFolder refuses what leads out of the machine's folder, with a finding.
func (f *finder) isFolder(place string) bool {
	info, err := fs.Stat(f.tree, place)
	if err != nil {
		f.warn(place, "cannot be entered, or leads out of the source: not read")
		return false
	}
	return info.IsDir()
}

// collect takes the files of one folder, unless a link has led to it before.
func (f *finder) collect(place string, folder Folder) error {
	info, err := fs.Stat(f.tree, place)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(f.visited, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
		return nil
	}
	f.visited = append(f.visited, info)
	entries, err := fs.ReadDir(f.tree, place)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		f.take(path.Join(place, entry.Name()), folder)
	}
	return nil
}

// take adds a file, or says why it is not read.
func (f *finder) take(place string, folder Folder) {
	kind := kindOf(path.Base(place))
	info, err := fs.Stat(f.tree, place)
	if kind == PhoneDatabase && err == nil && info.Mode().IsRegular() && !f.isDatabase(place) {
		kind = ""
	}
	switch {
	case err != nil:
		f.warn(place, "cannot be opened, or leads out of the source: not read")
	case info.IsDir() && kind == "":
		// Folders beside the files are none of CAPF's.
	case kind == "":
		f.note(place, notCAPF)
	case !info.Mode().IsRegular():
		f.warn(place, "is not a regular file: not read")
	default:
		f.files = append(f.files, File{Kind: kind, Folder: folder, Path: place, tree: f.tree})
	}
}

const notCAPF = "is none of the files of CAPF: not read"

// isDatabase tells by its first bytes whether a file is a SQLite database. One that cannot be read counts as such, so
// that it is not passed over.
func (f *finder) isDatabase(place string) bool {
	start, err := startOf(f.tree, place, int64(len(sqliteMagic)))
	return err != nil || string(start) == sqliteMagic
}

// startOf reads the first bytes of a file, fewer where it is shorter.
func startOf(tree fs.FS, place string, length int64) ([]byte, error) {
	opened, err := tree.Open(place)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	return io.ReadAll(io.LimitReader(opened, length))
}

// logEndings follow the name of a database in the names of its write-ahead log and its rollback journal. The third
// file that there may be, -shm, is made anew from the log.
var logEndings = []string{"-wal", "-journal"}

// attachLogs gives each database the files that belong to it, and passes over those that belong to none.
func (f *finder) attachLogs() {
	var logs []File
	f.files = slices.DeleteFunc(f.files, func(file File) bool {
		if file.Kind == DatabaseLog {
			logs = append(logs, file)
		}
		return file.Kind == DatabaseLog
	})
	for _, log := range logs {
		of := log.Path[:strings.LastIndexByte(log.Path, '-')]
		at := slices.IndexFunc(f.files, func(file File) bool { return file.Kind == PhoneDatabase && file.Path == of })
		if at < 0 {
			at = slices.IndexFunc(f.files, func(file File) bool { return file.Kind == PhoneDatabase && strings.EqualFold(file.Path, of) })
		}
		if at < 0 {
			f.warn(log.Path, "belongs to a database that is not there: not read")
			continue
		}
		f.files[at].Logs = append(f.files[at].Logs, log)
		f.files = append(f.files, log)
	}
}

// databaseEndings are those that databases of phones go by; the content decides.
var databaseEndings = []string{".db", ".db3", ".sqlite", ".sqlite3"}

func kindOf(name string) Kind {
	name = strings.ToLower(name)
	for _, ending := range logEndings {
		if of, ok := strings.CutSuffix(name, ending); ok && slices.Contains(databaseEndings, path.Ext(of)) {
			return DatabaseLog
		}
	}
	switch {
	case name == "capf.phone":
		return PhoneRecords
	case name == "capf.cfg":
		return Configuration
	case name == "capf.cer":
		return CAPFCertificate
	case name == "capf.pem":
		return Identity
	case path.Ext(name) == ".0":
		return Certificates
	case slices.Contains(databaseEndings, path.Ext(name)):
		return PhoneDatabase
	case path.Ext(name) == ".csv":
		return PhoneList
	default:
		return ""
	}
}

// collectDirect takes files that lie in the source folder itself. It counts as the CAPF folder if it is named CAPF, or
// holds phone records or a configuration, which lie in no other; as Certificates otherwise, which is trusted with less.
func (f *finder) collectDirect() error {
	entries, err := fs.ReadDir(f.tree, ".")
	if err != nil {
		return err
	}
	holds := map[Kind]bool{}
	for _, entry := range entries {
		if kind := kindOf(entry.Name()); kind != PhoneDatabase || f.isDatabase(entry.Name()) {
			holds[kind] = true
		}
	}
	delete(holds, "")
	if len(holds) == 0 {
		return nil
	}
	name := f.base
	if whole, err := filepath.Abs(name); err == nil {
		name = filepath.Base(whole)
	}
	folder, why := judge(name, holds)
	f.note(".", fmt.Sprintf("the files in the folder itself count as lying in %s: %s", folder, why))
	return f.collect(".", folder)
}

// judge says which of the two folders a source folder stands for, and why.
func judge(name string, holds map[Kind]bool) (Folder, string) {
	switch {
	case strings.EqualFold(name, string(CertificatesFolder)):
		return CertificatesFolder, "that is its name"
	case strings.EqualFold(name, string(CAPFFolder)):
		return CAPFFolder, "that is its name"
	case holds[PhoneRecords] || holds[Configuration]:
		return CAPFFolder, "it holds CAPF.phone or CAPF.cfg"
	case holds[PhoneDatabase]:
		return CAPFFolder, "it holds a database of phones"
	default:
		return CertificatesFolder, "it holds neither CAPF.phone nor CAPF.cfg"
	}
}

// note and warn tell of a place once: a link can be met as a folder and again as a file.
func (f *finder) note(place, reason string) {
	if !f.hasToldOf(place) {
		f.findings.Note(legacy.Position{File: place}, reason)
	}
}

func (f *finder) warn(place, reason string) {
	if !f.hasToldOf(place) {
		f.findings.Warn(legacy.Position{File: place}, reason)
	}
}

func (f *finder) hasToldOf(place string) bool {
	return slices.ContainsFunc(f.findings, func(other legacy.Finding) bool { return other.Position == legacy.Position{File: place} })
}
