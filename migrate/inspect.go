package migrate

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/legacy"
	"capf/legacy/certfile"
	"capf/legacy/cfgfile"
	"capf/legacy/dialect"
	"capf/legacy/machine"
	"capf/legacy/phonefile"
	"capf/legacy/source"
	"capf/runtime/capf"
)

// An inspection shows the sources as they are read, file by file and field by field, before anything is decided.

// Inspection is what is there and how it reads. Secrets are masked.
type Inspection struct {
	Machines []InspectedMachine `json:"machines"`
	// Problems are what keeps the sources from being read: folders that are not there, files that no dialect fits.
	Problems []string `json:"problems"`
}

// InspectedMachine is one source.
type InspectedMachine struct {
	Machine      string             `json:"machine"`
	Path         string             `json:"path"`
	Files        []InspectedFile    `json:"files"`
	Certificates []InspectedCert    `json:"certificates"`
	Settings     []InspectedSetting `json:"settings"`
	Kept         []InspectedLine    `json:"kept-aside"`
	Findings     []Finding          `json:"findings"`
}

// InspectedFile is one file and how it is read.
type InspectedFile struct {
	File   string        `json:"file"`
	Kind   source.Kind   `json:"kind"`
	Folder source.Folder `json:"folder"`
	Size   int64         `json:"size"`
	SHA256 string        `json:"sha256"`
	// Of phone records and configurations: the dialect and why it, the encoding, and what was read by it. No dialect:
	// the file has nothing to read, or none fits it (see Problems).
	Dialect  string `json:"dialect,omitempty"`
	Why      string `json:"why,omitempty"`
	Encoding string `json:"encoding,omitempty"`
	Records  int    `json:"records"` // of phones, or settings
	Kept     int    `json:"kept-aside"`
	// First are the first records and how each field was read.
	First []InspectedRecord `json:"first,omitempty"`
}

// InspectedRecord is a record of a phone field by field.
type InspectedRecord struct {
	Line   int     `json:"line"`
	Device string  `json:"device"`
	Fields []Field `json:"fields"`
}

// Field is one field, how it was read and which bytes it came from.
type Field struct {
	Name  string `json:"name"` // "not used" for a column without a meaning to us
	Value string `json:"value"`
	// Column is what the file calls it, or its number; it stands in the bytes From to To of the line, counted from 1.
	// Empty for records that do not come from lines.
	Column string `json:"column,omitempty"`
	Line   int    `json:"line,omitempty"`
	From   int    `json:"from,omitempty"`
	To     int    `json:"to,omitempty"`
}

// InspectedLine is a line that is kept aside, and its fields as far as it could be cut.
type InspectedLine struct {
	KeptLine
	Fields []Field `json:"fields,omitempty"`
}

// InspectedCert is a certificate and what it is; what becomes of it is said by the plan.
type InspectedCert struct {
	File          string                 `json:"file"`
	Line          int                    `json:"line"`
	Subject       string                 `json:"subject"`
	Issuer        string                 `json:"issuer"`
	Serial        string                 `json:"serial"`
	NotBefore     time.Time              `json:"not-before"`
	NotAfter      time.Time              `json:"not-after"`
	Signed        string                 `json:"signed"` // the algorithm
	SelfSignature certfile.SelfSignature `json:"self-signature"`
	SHA256        string                 `json:"sha256"`
}

// InspectedSetting is a setting of a configuration.
type InspectedSetting struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Section   string `json:"section,omitempty"`
	Key       string `json:"key"`
	Parameter string `json:"parameter,omitempty"` // empty: no meaning to us
	Value     string `json:"value"`
	// From and To are the bytes of the value in the line, counted from 1; 0 for an empty value.
	From int `json:"from,omitempty"`
	To   int `json:"to,omitempty"`
}

// View says whether strings, passwords and what may be one are shown.
type View bool

// The views. Revealed is for a person at a terminal. Text of private keys is shown in neither.
const (
	Masked   View = false
	Revealed View = true
)

// secret shows a value that must be masked.
func (v View) secret(value legacy.Secret) string {
	if v == Revealed {
		return value.Reveal()
	}
	return value.String()
}

// text shows a value that may hold a secret.
func (v View) text(value string) string {
	if v == Revealed {
		return legacy.Unmasked([]byte(value))
	}
	return legacy.MaskText(value)
}

// firstRecords is how many records of a file are shown field by field.
const firstRecords = 5

// Inspect looks at the sources and changes nothing. What cannot be read is told beside what can; the error is for wrong
// usage only.
func Inspect(ctx context.Context, specs []source.Spec, options Options, view View) (*Inspection, error) {
	options, err := options.filled()
	if err != nil {
		return nil, err
	}
	if specs, err = sorted(specs); err != nil {
		return nil, err
	}
	named, err := loadDialect(options.Dialect)
	if err != nil {
		return nil, err
	}
	out := &Inspection{Machines: []InspectedMachine{}, Problems: []string{}}
	failed := several()
	for _, spec := range specs {
		opened, err := source.Open(spec)
		if err != nil {
			if hint := hintSeveral(err); hint != "" {
				err = fmt.Errorf("%w; %s", err, hint)
			}
			failed = multierror.Append(failed, err)
			continue
		}
		err = out.inspect(ctx, opened, machine.Options{Dialect: named, Now: options.Clock()}, view)
		failed = multierror.Append(failed, append(problemsOf(err), problemsOf(opened.Close())...)...)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	for _, problem := range failed.Errors {
		out.Problems = append(out.Problems, problem.Error())
	}
	return out, nil
}

// inspect adds a machine with all of it that can be read.
func (i *Inspection) inspect(ctx context.Context, opened *source.Source, options machine.Options, view View) error {
	read, err := machine.Read(opened, options)
	problems := problemsOf(err)
	for _, file := range read.PhoneFiles {
		file.Reading.Trace = firstRecords
	}
	m := newMachineReading(read)
	row := InspectedMachine{Machine: opened.Name, Path: absolute(opened.Folder)}
	rows := map[string]*InspectedFile{}
	row.Files = make([]InspectedFile, len(opened.Files))
	for at, file := range opened.Files {
		row.Files[at] = InspectedFile{File: file.Path, Kind: file.Kind, Folder: file.Folder, Size: file.Size,
			SHA256: hex.EncodeToString(file.SHA256[:])}
		rows[file.Path] = &row.Files[at]
	}
	m.describe(rows, options.Dialect != nil)
	lines, err := m.look(ctx, rows, view)
	problems = append(problems, problemsOf(err)...)
	if len(problems) == 0 {
		problems = problemsOf(m.checkRecognised(records(row.Files)))
	}
	for _, line := range m.Kept {
		row.Kept = append(row.Kept, m.inspectedLine(line, nil, view))
	}
	row.Kept = append(row.Kept, lines...)
	for _, line := range row.Kept {
		if file := rows[line.File]; file != nil {
			file.Kept++
		}
	}
	row.Certificates, row.Settings = listed(m.certificateRows()), listed(m.settingRows(view))
	row.Kept, row.Findings = listed(row.Kept), listed(m.findingRows())
	i.Machines = append(i.Machines, row)
	return multierror.Append(several(), problems...).ErrorOrNil()
}

func records(files []InspectedFile) (count int) {
	for _, file := range files {
		count += file.Records
	}
	return count
}

// describe says how the files are read.
func (m *machineReading) describe(rows map[string]*InspectedFile, named bool) {
	why := "the only one that fits"
	if named {
		why = "named by the administrator"
	}
	for _, file := range m.PhoneFiles {
		row := rows[file.Path]
		row.Encoding = string(file.Reading.Encoding)
		if file.Reading.Dialect != nil {
			row.Dialect, row.Why = file.Reading.Dialect.String(), why
		}
	}
	for _, file := range m.Further {
		row := rows[file.Path]
		row.Dialect, row.Why, row.Encoding = file.Reader, "by its columns", file.Encoding
		if file.Columns != "" {
			row.Why += " " + file.Columns
		}
	}
	for _, file := range m.Configurations {
		row := rows[file.Path]
		row.Encoding, row.Records = string(file.Content.Encoding), len(file.Content.Settings)
		if file.Content.Dialect != nil {
			row.Dialect, row.Why = file.Content.Dialect.String(), why
		}
	}
}

func (m *machineReading) certificateRows() []InspectedCert {
	var out []InspectedCert
	for _, c := range m.Certificates {
		parsed := c.Parsed()
		signed := parsed.SignatureAlgorithm.String()
		out = append(out, InspectedCert{
			File: c.File, Line: c.Line, Subject: parsed.Subject.String(), Issuer: parsed.Issuer.String(),
			Serial: capf.FormatSerial(parsed.SerialNumber), NotBefore: parsed.NotBefore.UTC(), NotAfter: parsed.NotAfter.UTC(),
			Signed: signed, SelfSignature: c.Signature, SHA256: fmt.Sprintf("%x", c.SHA256),
		})
	}
	return out
}

// look reads the phone files through, and gives the lines that are kept aside.
func (m *machineReading) look(ctx context.Context, rows map[string]*InspectedFile, view View) ([]InspectedLine, error) {
	var kept []InspectedLine
	seen := map[[2]string]bool{} // files with the phones in them
	for item, err := range m.Items() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return kept, err
		}
		switch item.Kind {
		case phonefile.KindRecord:
			record := item.Record
			row := rows[record.File]
			if row.Records++; row.Records <= firstRecords {
				row.First = append(row.First, fieldsOf(item, view))
			}
			newRecord(m.name, record, &m.doubts, m.commons)
			phone := [2]string{record.File, record.Device}
			if seen[phone] {
				m.doubts.add(record.Position, twiceInFile)
			}
			seen[phone] = true
		case phonefile.KindKept:
			kept = append(kept, m.inspectedLine(*item.Kept, item.Places, view))
		case phonefile.KindFinding:
			m.findings = append(m.findings, *item.Finding)
		}
	}
	return kept, nil
}

func (m *machineReading) inspectedLine(line legacy.KeptLine, places []phonefile.Place, view View) InspectedLine {
	out := InspectedLine{KeptLine: shownLine(m.name, line)}
	if view == Revealed && line.Bytes != nil {
		out.Text = excerpt(legacy.Unmasked(line.Bytes))
	}
	for _, place := range places {
		value := view.text(place.Value.Reveal())
		if place.Secret {
			value = view.secret(place.Value)
		}
		out.Fields = append(out.Fields, fieldAt(place, value))
	}
	return out
}

// notUsed is the name of a column without a meaning to us.
const notUsed = "not used"

// fieldAt is a field with its place; the bytes of a line are counted from 1 for a person.
func fieldAt(place phonefile.Place, value string) Field {
	name := strings.ReplaceAll(string(place.Field), "-", " ")
	if name == "" {
		name = notUsed
	}
	return Field{Name: name, Value: value, Column: place.Column, Line: place.Line, From: place.From + 1, To: place.To}
}

// fieldsOf shows a record field by field.
func fieldsOf(item phonefile.Item, view View) InspectedRecord {
	from := item.Record
	out := InspectedRecord{Line: from.Line, Device: from.Device}
	add := func(field dialect.Field, value string) {
		if value == "" {
			return
		}
		place := phonefile.Place{Field: field, From: -1}
		if at := slices.IndexFunc(item.Places, func(p phonefile.Place) bool { return p.Field == field }); at >= 0 {
			place = item.Places[at]
		}
		out.Fields = append(out.Fields, fieldAt(place, value))
	}
	add(dialect.Device, from.Device)
	add(dialect.Operation, string(from.Operation))
	add(dialect.State, string(from.State))
	add("ended", string(from.Ended))
	add(dialect.StatusTime, from.StatusTime.String())
	add(dialect.AuthenticationMode, string(from.AuthenticationMode))
	add(dialect.AuthenticationString, view.secret(from.AuthenticationString))
	if from.KeySize != 0 {
		add(dialect.KeySize, strconv.Itoa(from.KeySize))
	}
	add(dialect.KeySize, from.Curve)
	add(dialect.CompletesBy, from.CompletesBy.String())
	add(dialect.Description, view.text(from.Description))
	for _, extra := range from.Extra {
		out.Fields = append(out.Fields, extraField(item, extra, view))
	}
	return out
}

// extraField is a value without a field, named as the file names it.
func extraField(item phonefile.Item, extra phonefile.Extra, view View) Field {
	place := phonefile.Place{Column: extra.Name, From: -1}
	for _, p := range item.Places {
		if p.Field == "" && p.Column == extra.Name {
			place = p
		}
	}
	if extra.Secret {
		return fieldAt(place, view.secret(extra.Value))
	}
	return fieldAt(place, view.text(extra.Value.Reveal()))
}

func (m *machineReading) settingRows(view View) []InspectedSetting {
	var out []InspectedSetting
	for _, s := range m.Settings() {
		row := InspectedSetting{File: s.File, Line: s.Line, Section: view.text(s.Section), Key: shownKey(s), Parameter: s.Parameter,
			Value: settingValue(s, view)}
		if s.From < s.To {
			row.From, row.To = s.From+1, s.To
		}
		out = append(out, row)
	}
	return out
}

func settingValue(s cfgfile.Setting, view View) string {
	if view == Revealed {
		return legacy.Unmasked([]byte(s.Value.Reveal()))
	}
	return s.Shown()
}
