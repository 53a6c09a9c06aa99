package migrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"capf/legacy"
	"capf/legacy/machine"
	"capf/legacy/phonefile"
	"capf/legacy/source"
	"capf/runtime/capf"
)

// Sources are read in one plain pass that remembers of each record what is compared and decided, and of each line kept
// aside where it is. Their bytes, which may be many, are not remembered: who needs them reads the files once more
// (readAgain), and fails where another record comes than the first time.

// batch is how many rows are handed to the store at once, and after how many records progress is told.
const batch = 500

// reading is what the sources of a run hold.
type reading struct {
	*sources
	machines []*machineReading // by name
}

// machineReading is what one machine holds.
type machineReading struct {
	*machine.Machine
	name    string
	records []*record // in the order in which the files give them
	unread  []keptAt  // lines of files with phone records that were not understood
	keys    []legacy.Position
	// findings are those of the files with phone records; the others are the Machine's.
	findings []legacy.Finding
	doubts   doubts
	commons  commons // of the records
}

// keptAt is where a line kept aside is, and the digest of its bytes.
type keptAt struct {
	legacy.Position
	digest digest
}

// read reads all machines, or lists everything that cannot be read.
func (s *sources) read(ctx context.Context) (*reading, error) {
	out := &reading{sources: s}
	failed := several()
	number := 0
	for _, opened := range s.opened {
		m, err := readMachine(ctx, opened, machine.Options{Dialect: s.dialect, Now: s.options.Clock()},
			func(done int) { s.options.Progress(PhaseReading, number+done, 0) })
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			err = m.checkRecognised(len(m.records))
		}
		if err != nil {
			for _, problem := range problemsOf(err) {
				failed = multierror.Append(failed, unavailable(problem))
			}
			continue
		}
		for _, one := range m.records {
			number++
			one.number = number
		}
		out.machines = append(out.machines, m)
	}
	if err := failed.ErrorOrNil(); err != nil {
		return nil, err
	}
	return out, nil
}

// readMachine reads a machine, and tells how many records that were by now.
func readMachine(ctx context.Context, from *source.Source, options machine.Options, progress func(records int)) (*machineReading, error) {
	read, err := machine.Read(from, options)
	if err != nil {
		return nil, err
	}
	out := newMachineReading(read)
	for item, err := range read.Items() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		out.take(item)
		if item.Kind == phonefile.KindRecord && len(out.records)%batch == 0 {
			progress(len(out.records))
		}
	}
	return out, nil
}

func newMachineReading(read *machine.Machine) *machineReading {
	return &machineReading{Machine: read, name: read.Source.Name, commons: commons{}}
}

// take adds what a file with phone records holds.
func (m *machineReading) take(item phonefile.Item) {
	switch item.Kind {
	case phonefile.KindRecord:
		m.records = append(m.records, newRecord(m.name, item.Record, &m.doubts, m.commons))
	case phonefile.KindKept:
		m.unread = append(m.unread, keptAt{item.Position, item.Kept.SHA256})
		if item.Kept.PrivateKey {
			m.keys = append(m.keys, item.Position)
		}
	case phonefile.KindFinding:
		m.findings = append(m.findings, *item.Finding)
	}
}

// errOtherContent says that a file has changed while it was in use.
var errOtherContent = errors.New("gives other records than when it was read first: run again when nobody writes there")

// readAgain reads the files with phone records once more, and gives each record, in their order, with its bytes, and
// each line kept aside.
func (m *machineReading) readAgain(give func(*record, []byte) error, kept func(legacy.KeptLine) error) error {
	next := 0
	for item, err := range m.Items() {
		switch {
		case err != nil:
			return unavailable(err)
		case item.Kind == phonefile.KindKept:
			err = kept(*item.Kept)
		case item.Kind == phonefile.KindRecord:
			if next == len(m.records) || sha256.Sum256(item.Record.Bytes) != m.records[next].digest {
				return unavailable(fmt.Errorf("source %s: %w", m.name, errOtherContent))
			}
			next++
			err = give(m.records[next-1], item.Record.Bytes)
		}
		if err != nil {
			return err
		}
	}
	if next != len(m.records) {
		return unavailable(fmt.Errorf("source %s: %w", m.name, errOtherContent))
	}
	return nil
}

// checkRecognised refuses a source in which, with so many records, nothing at all is of a CAPF: its files bear the names,
// and are empty or hold something else. A run over it would look like a migration. A file that is read by a dialect, if
// only its header, is enough, and so is any certificate.
func (m *machineReading) checkRecognised(records int) error {
	read := func(file machine.PhoneFile) bool { return file.Reading.Dialect != nil }
	configured := func(file machine.ConfigurationFile) bool { return file.Content.Dialect != nil }
	if records+len(m.Certificates)+len(m.Further) > 0 || slices.ContainsFunc(m.PhoneFiles, read) || slices.ContainsFunc(m.Configurations, configured) {
		return nil
	}
	var names []string
	for _, file := range m.Source.Files {
		names = append(names, fmt.Sprintf("%s of %d bytes", file.Path, file.Size))
	}
	return fmt.Errorf("source %s: nothing of a CAPF was recognised in %s: looked for phones in CAPF.phone, settings in CAPF.cfg, certificates "+
		"in *.0, CAPF.cer and capf.pem, and for databases and lists of phones; there is only %s: see that the copy is whole, or leave it out",
		m.name, m.Source.Folder, listedInWords(names))
}

// groups gathers the records of all machines by their phones, in the order of those. Within a group they keep theirs.
func (r *reading) groups() []*group {
	var records []*record
	for _, m := range r.machines {
		records = append(records, m.records...)
	}
	slices.SortStableFunc(records, func(a, b *record) int { return strings.Compare(a.device, b.device) })
	var out []*group
	for from, to := 0, 0; from < len(records); from = to {
		for to < len(records) && records[to].device == records[from].device {
			to++
		}
		out = append(out, &group{device: records[from].device, records: records[from:to:to]})
	}
	return out
}

// twiceInFile is what is said of the later records of a phone in one file.
const twiceInFile = "phone is recorded before in the same file: their times put its records in order"

// noteTwice tells of phones that one file records more than once.
func (r *reading) noteTwice(groups []*group) {
	for _, g := range groups {
		for i, one := range g.records {
			if i > 0 && one.machine == g.records[i-1].machine && one.file == g.records[i-1].file {
				r.machine(one.machine).doubts.add(one.position(), twiceInFile)
			}
		}
	}
}

// machine gives the one of that name; nil where it was not read.
func (r *reading) machine(name string) *machineReading {
	for _, m := range r.machines {
		if m.name == name {
			return m
		}
	}
	return nil
}

// allFindings gives everything that was found about a machine, also about the meaning of its records.
func (m *machineReading) allFindings() []legacy.Finding {
	return slices.Concat(m.Findings, m.findings, m.doubts.findings())
}

// doubts gathers what many records may have in common, so that it is said once.
type doubts struct {
	reasons []string
	first   map[string]legacy.Position
	count   map[string]int
}

func (d *doubts) add(position legacy.Position, reason string) {
	if d.count == nil {
		d.count, d.first = map[string]int{}, map[string]legacy.Position{}
	}
	if d.count[reason] == 0 {
		d.reasons = append(d.reasons, reason)
		d.first[reason] = position
	}
	d.count[reason]++
}

func (d *doubts) findings() []legacy.Finding {
	var out []legacy.Finding
	for _, reason := range d.reasons {
		text := reason
		if n := d.count[reason]; n > 1 {
			text = fmt.Sprintf("%s (the first of %d such records)", reason, n)
		}
		out = append(out, legacy.Finding{Position: d.first[reason], Severity: legacy.Warning, Reason: text})
	}
	return out
}

// keptBeside gives what is kept aside of a machine beside its phone files, which hand out their own lines: lines of
// configurations, what is no certificate in certificate files, and settings that are not taken. So what is stored and what
// is kept are together what was there.
func (p *planner) keptBeside(m *machineReading) []legacy.KeptLine {
	out := m.Kept[:len(m.Kept):len(m.Kept)]
	for _, s := range p.settings {
		if s.Machine == m.name && s.Use == SettingNotTaken {
			out = append(out, s.kept())
		}
	}
	return out
}

// keptCount is how many rows are kept aside in all.
func (p *planner) keptCount() int {
	count := 0
	for _, m := range p.reading.machines {
		count += len(m.unread) + len(p.keptBeside(m))
	}
	return count
}

func keptRow(machine string, line legacy.KeptLine) capf.KeptLine {
	return capf.KeptLine{
		Machine: machine, File: line.File, Line: line.Line, Bytes: line.Bytes, SHA256: hex.EncodeToString(line.SHA256[:]),
		Reason: line.Reason,
	}
}

// shownLine masks a line. Its digest is shown only of what is withheld: from the digest of a line that holds a string of a
// few digits, and the rest of that line, the string could be found.
func shownLine(machine string, line legacy.KeptLine) KeptLine {
	shown := KeptLine{Machine: machine, File: line.File, Line: line.Line, Reason: line.Reason, Text: excerpt(line.Shown())}
	if line.Bytes == nil {
		shown.SHA256 = hex.EncodeToString(line.SHA256[:])
	}
	return shown
}

// excerpt keeps a damaged file, whose lines may be of any length, from filling what is shown.
func excerpt(text string) string {
	const most = 1000
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + fmt.Sprintf("… (%d bytes more)", len(text)-most)
	}
	return text
}
