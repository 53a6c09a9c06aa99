package migrate

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// basis is a digest of everything that was decided, and of what phones are built with: two runs of the same basis stage
// the same rows, but for generated strings and the time. So a run goes on with what one before it has staged, and where
// the store has changed in between so that something else comes of the sources, it begins anew.
func (p *planner) basis() string {
	digest := sha256.New()
	hash := bufio.NewWriterSize(digest, 1<<16) // a digest takes long to be asked for little
	for _, name := range slices.Sorted(maps.Keys(p.build.parameters)) {
		fmt.Fprintf(hash, "parameter %q %q\n", name, p.build.parameters[name])
	}
	for _, s := range p.settings {
		fmt.Fprintf(hash, "setting %q %d %s %q\n", s.Machine, s.Line, s.Use, s.Why)
	}
	for _, c := range p.certificates {
		fmt.Fprintf(hash, "certificate %s %s %s\n", c.digest, c.use, c.device)
	}
	for _, m := range p.reading.machines {
		for _, one := range m.records {
			_, _ = hash.Write(one.digest[:])
			_, _ = hash.WriteString(string(one.verdict))
			_ = hash.WriteByte('\n')
		}
	}
	var text []byte
	p.eachTaken(func(taken *record) {
		text = strconv.AppendInt(append(text[:0], "phone "...), int64(taken.number), 10)
		text = strconv.AppendQuote(append(text, ' '), taken.description)
		if taken.settled != nil {
			text = strconv.AppendInt(append(text, ' '), taken.settled.changes, 10)
		}
		_, _ = hash.Write(append(text, '\n'))
	})
	_ = hash.Flush() // a digest never fails
	return hex.EncodeToString(digest.Sum(nil))
}
