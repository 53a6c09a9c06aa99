package migrate

import (
	"encoding/hex"
	"fmt"
	"strings"

	"capf/legacy"
	"capf/runtime/capf"
)

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
		count += m.kept + len(p.keptBeside(m))
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
