package draft

import (
	"regexp"
	"slices"
	"strings"

	"capf/legacy/dialect"
	"capf/legacy/shape"
)

// widest is up to which column of a screen a line is looked at.
const widest = 1024

// findPadded looks for columns that are padded with spaces, in a file that no separator cuts: those parts of a screen
// that some line writes to, apart where no line does. It is taken where one of the columns holds the devices. Where the
// spaces are not as wide in each line, several count as one separator.
func (d *draft) findPadded(counted *counts, separator byte, rows int) error {
	if separator != ' ' && rows*2 >= counted.lines {
		return nil
	}
	starts, err := d.starts()
	if err != nil {
		return err
	}
	if starts, err = d.joined(starts); err != nil {
		return err
	}
	padded := &dialect.Dialect{Starts: starts}
	if len(starts) > 1 && len(starts) <= dialect.MostStarts {
		if width, agree, err := d.devices(padded, dialect.AtStarts); err != nil || agree {
			d.layout.padded, d.layout.separator, d.layout.width = padded, dialect.AtStarts, width
			return err
		}
	}
	repeated := &dialect.Dialect{Repeated: true, Quote: d.words.Quote}
	width, agree, err := d.devices(repeated, ' ')
	if err == nil && agree {
		d.layout.padded, d.layout.separator, d.layout.width = repeated, ' ', width
	}
	return err
}

// starts gives the columns of the screen behind one that all lines leave blank; none where a line has a tab.
func (d *draft) starts() ([]int, error) {
	var used [widest + 2]bool
	for line, err := range d.lines() {
		if err != nil || strings.Contains(line.Text, "\t") {
			return nil, err
		}
		cell := 1
		for _, r := range line.Text {
			for range dialect.Cells(r) {
				if cell <= widest && r != ' ' {
					used[cell] = true
				}
				cell++
			}
		}
	}
	var starts []int
	for cell := 1; cell <= widest; cell++ {
		if used[cell] && !used[cell-1] {
			starts = append(starts, cell)
		}
	}
	return starts, nil
}

// timeOfDay is what stands behind a date and a space, and is no column of its own.
var timeOfDay = regexp.MustCompile(`(?i)^(\d?\d:\d\d(:\d\d)?( ?[ap]m)?|[ap]m)$`)

// joined leaves out those starts that are none: of times of day, and, under a header line, of columns without a name, and
// of the second word of a name whose first has no values below it.
func (d *draft) joined(starts []int) ([]int, error) {
	by := &dialect.Dialect{Starts: starts}
	var header []string
	rows := 0
	filled, others := make([]bool, len(starts)), make([]bool, len(starts)) // others than times of day
	for line, err := range d.lines() {
		if err != nil {
			return nil, err
		}
		row, problem := by.CutRow(nil, line.Text, dialect.AtStarts)
		if problem != "" {
			continue
		}
		if rows++; rows == 1 && !slices.ContainsFunc(row, isDevice) {
			header = row
			continue
		}
		for i, value := range row {
			filled[i] = filled[i] || value != ""
			others[i] = others[i] || value != "" && !timeOfDay.MatchString(value)
		}
	}
	var out []int
	for i, start := range starts {
		clock := filled[i] && !others[i]
		if i == 0 || !clock && (header == nil || header[i] != "" && (filled[i-1] || starts[i-1]+len(header[i-1])+1 < start)) {
			out = append(out, start)
		}
	}
	return out, nil
}

func isDevice(value string) bool { _, is := shape.Device(value); return is }

// isWide tells whether a value has a gap as between columns.
func isWide(value string) bool { return strings.Contains(value, "  ") }

// devices tells whether nine lines in ten, besides a first one without a device, are cut into the same number of columns,
// with a device in the same one of them, and no value that seems to be two.
func (d *draft) devices(by *dialect.Dialect, separator byte) (width int, agree bool, err error) {
	type place struct{ width, column int }
	counts := map[place]int{}
	rows, most := 0, 0
	for line, err := range d.lines() {
		if err != nil {
			return 0, false, err
		}
		row, problem := by.CutRow(nil, line.Text, separator)
		at := slices.IndexFunc(row, isDevice)
		if rows++; rows == 1 && at < 0 {
			rows = 0
			continue
		}
		if problem != "" || at < 0 || len(row) > mostKeys || slices.ContainsFunc(row, isWide) {
			continue
		}
		one := place{len(row), at}
		if counts[one]++; counts[one] > most {
			width, most = one.width, counts[one]
		}
	}
	return width, width > 1 && most*10 >= rows*9, nil
}
