package migrate

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"capf/legacy"
	"capf/legacy/cfgfile"
	"capf/legacy/dialect"
	"capf/legacy/phonefile"
)

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
			newRecord(m.name, record, &m.doubts, &m.commons)
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
