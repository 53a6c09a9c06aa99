package migrate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/hashicorp/go-multierror"
	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"capf/internal/plain"
	"capf/legacy/text"
	"capf/runtime/capf"
)

// maxDecisions is the size in bytes of the largest file of decisions that is read: tens of thousands of conflicts.
const maxDecisions = 16 << 20

// decisionsFile is a file of decisions as TOML has it.
type decisionsFile struct {
	Conflict []struct {
		Device string `toml:"device"`
		Digest string `toml:"digest"`
		Choose string `toml:"choose"`
	} `toml:"conflict"`
}

// ReadDecisions reads a file that Plan.WriteDecisions wrote and an administrator has edited. CodeInvalid, with file and
// line, for whatever it does not know. Whether it fits the sources is checked by NewPlan and Run.
func ReadDecisions(path string) (*Decisions, error) {
	opened, err := os.Open(path)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "read the decisions", Err: err,
			Hint: "`capf migrate plan --decisions FILE` writes them"}
	}
	defer opened.Close()
	content, err := io.ReadAll(io.LimitReader(opened, maxDecisions+1))
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeUnavailable, Message: "read the decisions " + path, Err: err}
	}
	if len(content) > maxDecisions {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("decisions %s: larger than %d bytes", path, maxDecisions)}
	}
	return parseDecisions(content, path)
}

func parseDecisions(content []byte, path string) (*Decisions, error) {
	out := &Decisions{path: path}
	content, err := text.AsUTF8(content)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "decisions " + path, Err: err}
	}
	var file decisionsFile
	if line, problem := decodeStrict(content, &file); problem != "" {
		return nil, out.wrong(line, problem)
	}
	lines := linesOfConflicts(content)
	if len(lines) != len(file.Conflict) {
		return nil, out.wrong(1, "write each conflict as a table [[conflict]]")
	}
	failed := several()
	seen := map[string]int{}
	for i, one := range file.Conflict {
		row := decision{device: one.Device, choose: strings.TrimSpace(one.Choose), digest: one.Digest, line: lines[i]}
		problem := row.problem()
		if first := seen[row.device]; first > 0 && problem == "" {
			problem = fmt.Sprintf("%s is decided in line %d already", row.device, first)
		}
		if problem != "" {
			failed = multierror.Append(failed, out.wrong(row.line, problem))
			continue
		}
		seen[row.device] = row.line
		out.add(row)
	}
	if err := failed.ErrorOrNil(); err != nil {
		return nil, err
	}
	return out, nil
}

// problem says what is wrong with a row by itself.
func (d *decision) problem() string {
	const digest = 64
	switch name, err := capf.ParseDevice(d.device); {
	case err != nil || name != d.device:
		return fmt.Sprintf("device: %q is not the name of a phone", plain.Clip(d.device))
	case len(d.digest) != digest:
		return d.device + ": digest: must stay as `capf migrate plan --decisions` wrote it"
	}
	return ""
}

// decodeStrict gives the line and what is wrong in it; nothing where nothing is.
func decodeStrict(content []byte, into any) (int, string) {
	err := toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields().Decode(into)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		row, _ := unknown.Errors[0].Position()
		return row, fmt.Sprintf("key %q is not known", plain.Clip(strings.Join(unknown.Errors[0].Key(), ".")))
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		row, column := wrong.Position()
		return row, fmt.Sprintf("column %d: %s", column, strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	if err != nil {
		return 1, err.Error()
	}
	return 0, ""
}

// linesOfConflicts gives the line of each [[conflict]]; the decoder has found the content to be TOML.
func linesOfConflicts(content []byte) []int {
	var out []int
	var parser unstable.Parser
	parser.Reset(content)
	line, counted := 1, 0
	for parser.NextExpression() {
		expression := parser.Expression()
		if expression.Kind != unstable.ArrayTable {
			continue
		}
		key := expression.Key()
		if key.Next(); string(key.Node().Data) != "conflict" {
			continue
		}
		at := int(key.Node().Raw.Offset)
		line += bytes.Count(content[counted:at], []byte("\n"))
		counted = at
		out = append(out, line)
	}
	return out
}

const decisionsHead = `# Decisions about the conflicts of a migration, for ` + "`capf migrate run --decisions`" + `.
#
# Write behind choose which version is to hold, by the word that stands before it. What is left "" stays open: a rule
# (--prefer) decides it, or the run is refused. The digest must stay as it is: by it a file that is older than the
# sources, or than the phone in the store, is refused.
`

// WriteDecisions writes all conflicts for editing, with nothing decided. There is no authentication string in it.
func (p *Plan) WriteDecisions(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, decisionsHead)
	if len(p.Conflicts) == 0 {
		fmt.Fprint(out, "\n# There is no conflict.\n")
	}
	for i := range p.Conflicts {
		p.Conflicts[i].write(out)
	}
	return out.Flush()
}

func (c *Conflict) write(out *bufio.Writer) {
	fmt.Fprintf(out, "\n[[conflict]]\ndevice = %q\n# %s\n", c.Device, plain.Line(c.Why))
	for _, v := range c.Versions {
		choice := strconv.Quote(v.Choice)
		if v.Choice == "" {
			choice = "(cannot be chosen)"
		}
		fmt.Fprintf(out, "#   %s: %s: %s\n", plain.Line(choice), plain.Line(v.String()), plain.Line(v.Says))
	}
	switch {
	case c.Chosen != nil:
		fmt.Fprintf(out, "# decided by --prefer for %s; what is chosen here goes before it\n", plain.Line(c.Chosen.String()))
	case c.Refused && !c.offers(PreferStore):
		fmt.Fprint(out, "# There is nothing to choose: change the phone here first.\n")
	}
	fmt.Fprintf(out, "digest = %q\nchoose = \"\"\n", c.Digest)
}
