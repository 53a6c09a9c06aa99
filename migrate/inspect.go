package migrate

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/legacy"
	"capf/legacy/certfile"
	"capf/legacy/machine"
	"capf/legacy/phonefile"
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
	Kept         []KeptLine         `json:"kept-aside"`
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

// Field is one field and how it was read.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
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
}

// firstRecords is how many records of a file are shown field by field.
const firstRecords = 5

// Inspect looks at the sources and changes nothing. What cannot be read is told beside what can; the error is for wrong
// usage only.
func Inspect(ctx context.Context, specs []source.Spec, options Options) (*Inspection, error) {
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
			failed = multierror.Append(failed, err)
			continue
		}
		err = out.inspect(ctx, opened, machine.Options{Dialect: named, Now: options.Clock()})
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
func (i *Inspection) inspect(ctx context.Context, opened *source.Source, options machine.Options) error {
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
	lines, err := m.look(ctx, rows)
	problems = append(problems, problemsOf(err)...)
	for _, line := range slices.Concat(m.Kept, lines) {
		row.Kept = append(row.Kept, shownLine(m.name, line))
		if file := rows[line.File]; file != nil {
			file.Kept++
		}
	}
	row.Certificates, row.Settings = listed(m.certificateRows()), listed(m.settingRows())
	row.Kept, row.Findings = listed(row.Kept), listed(m.findingRows())
	i.Machines = append(i.Machines, row)
	return multierror.Append(several(), problems...).ErrorOrNil()
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
		all.PhoneFiles = append(all.PhoneFiles, read.PhoneFiles...)
		all.Further = append(all.Further, read.Further...)
		all.Configurations = append(all.Configurations, read.Configurations...)
		all.Certificates = append(all.Certificates, read.Certificates...)
		all.Kept = append(all.Kept, read.Kept...)
		all.Findings = append(all.Findings, read.Findings...)
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

// look reads the phone files through, and gives the lines that are kept aside.
func (m *machineReading) look(ctx context.Context, rows map[string]*InspectedFile) ([]legacy.KeptLine, error) {
	files := m.readings()
	var kept []legacy.KeptLine
	for item, err := range m.Items() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return kept, err
		}
		switch item.Kind {
		case phonefile.KindRecord:
			row := rows[item.Record.File]
			if row.Records++; row.Records <= firstRecords {
				row.First = append(row.First, fieldsOf(item.Record))
			}
			newRecord(m.name, item.Record, files[item.Record.File], &m.doubts)
		case phonefile.KindKept:
			kept = append(kept, *item.Kept)
		case phonefile.KindFinding:
			m.findings = append(m.findings, *item.Finding)
		}
	}
	return kept, nil
}

// fieldsOf shows a record field by field, strings masked.
func fieldsOf(from *phonefile.Record) InspectedRecord {
	out := InspectedRecord{Line: from.Line, Device: from.Device}
	add := func(name, value string) {
		if value != "" {
			out.Fields = append(out.Fields, Field{name, value})
		}
	}
	add("device", from.Device)
	add("operation", string(from.Operation))
	add("state", string(from.State))
	add("status time", from.StatusTime.String())
	add("authentication mode", string(from.AuthenticationMode))
	add("authentication string", from.AuthenticationString.String())
	if from.KeySize != 0 {
		add("key size", strconv.Itoa(from.KeySize))
	}
	add("key size", from.Curve)
	add("ended", string(from.Ended))
	add("completes by", from.CompletesBy.String())
	add("description", legacy.MaskText(from.Description))
	for _, extra := range from.Extra {
		add("not used", extra.String())
	}
	return out
}

func (m *machineReading) certificateRows() []InspectedCert {
	var out []InspectedCert
	for _, c := range m.Certificates {
		signed := c.Parsed.SignatureAlgorithm.String()
		out = append(out, InspectedCert{
			File: c.File, Line: c.Line, Subject: c.Parsed.Subject.String(), Issuer: c.Parsed.Issuer.String(),
			Serial: capf.FormatSerial(c.Parsed.SerialNumber), NotBefore: c.Parsed.NotBefore.UTC(), NotAfter: c.Parsed.NotAfter.UTC(),
			Signed: signed, SelfSignature: c.Signature, SHA256: fmt.Sprintf("%x", c.SHA256),
		})
	}
	return out
}

func (m *machineReading) settingRows() []InspectedSetting {
	var out []InspectedSetting
	for _, s := range m.Settings() {
		out = append(out, InspectedSetting{File: s.File, Line: s.Line, Section: legacy.MaskText(s.Section), Key: shownKey(s),
			Parameter: s.Parameter, Value: s.Shown()})
	}
	return out
}
