package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"capf/legacy/source"
)

// fate is what must become of some bytes of a file.
type fate string

const (
	taken    fate = "taken"    // they are in a record, or are kept aside
	passed   fate = "passed"   // a header, a comment, a blank line, a mark: no data
	setting  fate = "setting"  // it is the value of a parameter, or kept aside
	withheld fate = "withheld" // a private key, or no certificate where only those belong: place and digest are kept
	stored   fate = "stored"   // a certificate
)

// piece is a part of a file; der is that of a certificate, beside is NAME=VALUE of a setting.
type piece struct {
	fate
	raw, der, beside []byte
}

// treeFile is a file of a machine. That of a database has rows in place of pieces.
type treeFile struct {
	path   string
	pieces []piece
	rows   []map[string]string
	whole  []byte
}

func (f *treeFile) add(fate fate, raw string) {
	f.pieces = append(f.pieces, piece{fate: fate, raw: []byte(raw)})
}

func (f *treeFile) content() []byte {
	out := bytes.Clone(f.whole)
	for _, one := range f.pieces {
		out = append(out, one.raw...)
	}
	return out
}

// treeMachine is a machine of a cluster, in the form in which it was copied.
type treeMachine struct {
	spec  source.Spec
	files []*treeFile
}

// forest makes clusters of machines from a seed.
type forest struct {
	*rand.Rand
	t    *testing.T
	root string
	pool *certificatePool
}

func newForest(t *testing.T, seed uint64) *forest {
	t.Helper()
	pool, err := certificatesOfTrees()
	if err != nil {
		t.Fatal(err)
	}
	return &forest{Rand: rand.New(rand.NewPCG(seed, 3)), t: t, root: t.TempDir(), pool: pool}
}

// elsewhere goes on with machines of the same names in another place.
func (f *forest) elsewhere() *forest {
	other := *f
	other.root = f.t.TempDir()
	return &other
}

func (f *forest) pick(words ...string) string { return words[f.IntN(len(words))] }

// one tells whether the one case of so many has come.
func (f *forest) one(of int) bool { return f.IntN(of) == 0 }

// cased writes a name as some Windows has it.
func (f *forest) cased(name string) string {
	switch f.IntN(4) {
	case 0:
		return strings.ToUpper(name)
	case 1:
		return strings.ToLower(name)
	}
	return name
}

// cluster makes a publisher, subscribers, and now and then a usecallmanager daemon and a list of phones.
func (f *forest) cluster() (machines []*treeMachine) {
	subscribers := 1 + f.IntN(3)
	for i := range subscribers + 1 {
		name := "publisher"
		if i > 0 {
			name = fmt.Sprintf("Sub-%d", i)
		}
		machines = append(machines, f.cisco(name, i))
	}
	if f.one(2) {
		machines = append(machines, f.daemon())
	}
	if f.one(3) {
		list := f.list()
		machines = append(machines, &treeMachine{spec: source.Spec{Name: "list"}, files: []*treeFile{list}})
	}
	for _, machine := range machines {
		f.write(machine)
	}
	return machines
}

// cisco is a machine on which CAPF 1.0(1) ran, the how-manieth.
func (f *forest) cisco(name string, number int) *treeMachine {
	base := f.pick("", "Program Files/Cisco/", "Cisco/")
	folder := f.cased(base + "CAPF/")
	out := &treeMachine{spec: source.Spec{Name: name}}
	out.files = append(out.files, f.phoneFile(folder+f.cased("CAPF.phone")), f.configuration(folder+f.cased("CAPF.cfg")))
	out.files = append(out.files, f.certificateFiles(folder, f.cased(base+"Certificates/"), number)...)
	return out
}

// configuration has one setting that becomes a parameter, the same on all machines, and what is kept aside.
func (f *forest) configuration(path string) *treeFile {
	out := &treeFile{path: path}
	end := f.pick("\r\n", "\n")
	out.add(passed, "[General]"+end)
	size := f.pick("1024", "2048", "2048", "512")
	out.pieces = append(out.pieces, piece{fate: setting, raw: []byte("KeySize=" + size + end), beside: []byte("key-size=" + size)})
	for n := range 30 {
		out.add(taken, fmt.Sprintf("Trace%d=%d%s", n, f.IntN(100), end))
	}
	if f.one(2) {
		out.add(taken, f.pick("rubbish", "\x00\x00", "no setting at all")+end)
	}
	if f.one(4) {
		out.add(withheld, strings.ReplaceAll(f.pool.key(true), "\n", end))
	}
	if f.one(3) {
		out.add(taken, "Password="+f.pick("geheim", "1234567")) // and no line end
	}
	return out
}

// daemon is the folder of a usecallmanager daemon.
func (f *forest) daemon() *treeMachine {
	columns := []string{"device_name", "operation", "authentication", "password", "key_size", "curve_name", "certificate", "serial_number",
		"not_valid_before", "not_valid_after", "remark"}
	file := &treeFile{path: f.cased("capf.db")}
	for n := range 20 + f.IntN(20) {
		row := map[string]string{"device_name": fmt.Sprintf("SEP000000000%03d", 100+n), "operation": f.pick("none", "Install", "fetch", "delete", "odd"),
			"authentication": f.pick("no password", "password", "certificate", ""), "password": f.pick("", "0042", "12345678", "x"),
			"key_size": f.pick("", "0", "2048", "7"), "curve_name": f.pick("", "secp256r1", "secp384r1", "nistp7"), "remark": f.pick("", "Jörg", "a\nb", "\x00nul", "\xff\xfe")}
		for _, column := range columns {
			row[column] += "" // each has a value
		}
		switch f.IntN(6) {
		case 0:
			row["certificate"] = f.pool.lsc(row["device_name"], f.IntN(len(f.pool.issuers))).pem()
		case 1:
			row["remark"] = f.pool.key(f.IntN(3) > 0)
		case 2:
			row["certificate"] = "no certificate"
		}
		file.rows = append(file.rows, row)
	}
	path := filepath.Join(f.root, "daemon.building")
	f.makeDatabase(path, columns, file.rows)
	var err error
	if file.whole, err = os.ReadFile(path); err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return &treeMachine{spec: source.Spec{Name: "daemon"}, files: []*treeFile{file}}
}

func (f *forest) makeDatabase(path string, columns []string, rows []map[string]string) {
	f.t.Helper()
	pool, err := sql.Open("sqlite3", path+"?_journal_mode=DELETE&_synchronous=OFF")
	if err != nil {
		f.t.Fatal(err)
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	statements := []string{"CREATE TABLE devices (" + strings.Join(columns, " TEXT, ") + " TEXT)", "BEGIN"}
	for _, row := range rows {
		values := make([]string, len(columns))
		for i, column := range columns {
			values[i] = fmt.Sprintf("CAST(x'%x' AS TEXT)", row[column])
		}
		statements = append(statements, "INSERT INTO devices VALUES ("+strings.Join(values, ", ")+")")
	}
	for _, statement := range append(statements, "COMMIT") {
		if _, err := pool.Exec(statement); err != nil {
			f.t.Fatal(err)
		}
	}
}

// write puts a machine on disk: as a folder, a zip or a tar.
func (f *forest) write(machine *treeMachine) {
	f.t.Helper()
	ending := f.pick("", "", ".zip", ".tar")
	machine.spec.Folder = filepath.Join(f.root, machine.spec.Name) + ending
	content := fstest.MapFS{}
	for _, file := range machine.files {
		content[file.path] = &fstest.MapFile{Data: file.content(), Mode: 0o600}
	}
	if err := machine.place(content); err != nil {
		f.t.Fatal(err)
	}
}

func (m *treeMachine) place(content fs.FS) error {
	var into bytes.Buffer
	var archive interface {
		AddFS(fs.FS) error
		Close() error
	}
	switch filepath.Ext(m.spec.Folder) {
	case ".zip":
		archive = zip.NewWriter(&into)
	case ".tar":
		archive = tar.NewWriter(&into)
	default:
		if err := os.RemoveAll(m.spec.Folder); err != nil {
			return err
		}
		return os.CopyFS(m.spec.Folder, content)
	}
	if err := errors.Join(archive.AddFS(content), archive.Close()); err != nil {
		return err
	}
	return os.WriteFile(m.spec.Folder, into.Bytes(), 0o600)
}

// flipped writes the machine again with one bit of one of its files flipped, and says which; put writes it as it was.
func (f *forest) flipped(machine *treeMachine) (where string, put func()) {
	f.t.Helper()
	content := fstest.MapFS{}
	for _, file := range machine.files {
		content[file.path] = &fstest.MapFile{Data: file.content(), Mode: 0o600}
	}
	file := machine.files[f.IntN(len(machine.files))].path
	at, bit := f.IntN(len(content[file].Data)), byte(1)<<f.IntN(8)
	flip := func() {
		content[file].Data[at] ^= bit
		if err := machine.place(content); err != nil {
			f.t.Fatal(err)
		}
	}
	flip()
	return fmt.Sprintf("bit %d of byte %d of %s in %s", bit, at, file, machine.spec.Folder), flip
}

func specsOf(machines []*treeMachine) (specs []source.Spec) {
	for _, machine := range machines {
		specs = append(specs, machine.spec)
	}
	return specs
}

// shuffled gives the same in another order.
func shuffled[T any](f *forest, all []T) []T {
	out := slices.Clone(all)
	f.Shuffle(len(out), func(a, b int) { out[a], out[b] = out[b], out[a] })
	return out
}
