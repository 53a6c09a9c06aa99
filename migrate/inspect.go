package migrate

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/legacy"
	"capf/legacy/certfile"
	"capf/legacy/machine"
	"capf/legacy/source"
	"capf/runtime/capf"
)

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
func Inspect(ctx context.Context, specs []source.Spec, options Options) (*Inspection, error) {
	return InspectAs(ctx, specs, options, Masked)
}

// InspectAs is Inspect with a choice of what is shown.
func InspectAs(ctx context.Context, specs []source.Spec, options Options, view View) (*Inspection, error) {
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
	m, err := readable(opened, options)
	problems := problemsOf(err)
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

// readable reads a machine file by file, so that one which cannot be read does not hide the others.
func readable(opened *source.Source, options machine.Options) (*machineReading, error) {
	all := &machine.Machine{Source: opened, Findings: slices.Clone(opened.Findings)}
	failed := several()
	for _, file := range opened.Files {
		alone := *opened
		alone.Files, alone.Findings = []source.File{file}, nil
		read, err := machine.Read(&alone, options)
		if err != nil {
			failed = multierror.Append(failed, problemsOf(err)...)
			continue
		}
		for _, file := range read.PhoneFiles {
			file.Reading.Trace = firstRecords
		}
		all.Join(read)
	}
	return &machineReading{Machine: all, name: opened.Name}, failed.ErrorOrNil()
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
