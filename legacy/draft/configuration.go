package draft

import (
	"slices"
	"strings"

	"capf/legacy"
	"capf/legacy/dialect"
)

// configuration prints what the keys mean.
func (d *draft) configuration() error {
	var keys []string
	sections := false
	for line, err := range d.lines() {
		if err != nil {
			return err
		}
		if _, section := d.layout.by.CutSection(line.Text); section {
			sections = true
			continue
		}
		if key := d.keyOf(line.Text); key != "" && len(keys) < mostKeys && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	d.printForm()
	if sections {
		d.print("sections = true")
	}
	d.print("empty = [%s]", list([]string{"-", "n/a"}))
	d.printParameters(keys)
	return nil
}

// keyOf gives the key of a line; empty if it has none.
func (d *draft) keyOf(line string) string {
	if d.layout.separator == 0 {
		key, _, problem := d.layout.by.CutPair(line)
		if problem != "" {
			return ""
		}
		return key
	}
	row, problem := d.layout.by.CutRow(nil, line, d.layout.separator)
	if problem != "" || len(row) != 2 {
		return ""
	}
	return row[0]
}

func (d *draft) printParameters(keys []string) {
	d.print("\n[parameters]")
	known := map[string][]string{}
	var parameters, others []string
	for _, key := range keys {
		parameter, is := d.words.Parameter(key)
		if !is {
			others = append(others, oneLine(legacy.MaskText(key)))
			continue
		}
		if known[parameter] == nil {
			parameters = append(parameters, parameter)
		}
		known[parameter] = append(known[parameter], key)
	}
	for _, parameter := range parameters {
		d.print("%s = [%s]", parameter, list(known[parameter]))
	}
	if others == nil {
		return
	}
	missing := slices.DeleteFunc(dialect.Parameters(), func(name string) bool { return known[name] != nil })
	d.print("# keys that mean no parameter, as far as is known: %s", list(others))
	d.print("# parameters without a key: %s", strings.Join(missing, ", "))
}
