package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"capf/runtime/capf"
)

// examples has a right value for every key, for those who wrote a wrong one. Those of lists and secrets are not the
// defaults, which show nothing.
var examples = map[string]string{
	"phone.listen":                       `":3804"`,
	"phone.min-tls":                      `"1.0"`,
	"phone.max-sessions":                 `20000`,
	"phone.max-sessions-per-address":     `0`,
	"phone.handshake-timeout":            `"10s"`,
	"phone.message-timeout":              `"60s"`,
	"phone.announce-authentication-type": `false`,
	"admin.listen":                       `"127.0.0.1:8804"`,
	"log.level":                          `"info"`,
	"log.format":                         `"text"`,
	"reset.command":                      `["/usr/local/bin/reset-phone", "{device}"]`,
	"reset.url":                          `"https://cm.example/reset/{device}"`,
	"reset.rate":                         `5`,
	"reset.timeout":                      `"10s"`,
	"distribute.user":                    `"ccmadmin"`,
	"distribute.password":                `"…"`,
	"distribute.identity-files":          `["/etc/capf/id_ed25519"]`,
	"distribute.agent":                   `true`,
	"distribute.known-hosts":             `"/etc/capf/known_hosts"`,
	"distribute.parallel":                `32`,
	"distribute.connect-timeout":         `"15s"`,
	"distribute.operation-timeout":       `"15s"`,
	"distribute.node-timeout":            `"1m"`,
	"distribute.check-every":             `"1h"`,
	"files.listen":                       `":6970"`,
	"files.folder":                       `"/srv/tftp"`,
}

// asIn gives the example for a key, to follow what is to be done; empty for a key that there is not.
func asIn(key string) string {
	example, known := examples[key]
	if !known {
		return ""
	}
	return fmt.Sprintf("as in %s = %s", key[strings.IndexByte(key, '.')+1:], example)
}

// problem is a value that cannot be.
type problem struct {
	key, value, reason string
	line               int // 0: not from the file
}

func (p problem) Error() string {
	text := fmt.Sprintf("%s = %s; %s", p.key, p.value, p.reason)
	if p.line == 0 {
		return text
	}
	text = fmt.Sprintf("line %d: %s", p.line, text)
	if example := asIn(p.key); example != "" {
		text += ", " + example
	}
	return text
}

// setting is a key with its value as it stands in a file.
type setting struct {
	key  string // with that of its table: phone.listen
	line int
	text []byte // a document that has nothing else
}

// settingsOf gives what stands in a file, up to where it can be read.
func settingsOf(content []byte) []setting {
	var parser unstable.Parser
	parser.Reset(content)
	var settings []setting
	table, header := "", ""
	for parser.NextExpression() {
		expression := parser.Expression()
		names, raw, line := keyOf(&parser, expression)
		switch expression.Kind {
		case unstable.Table:
			table, header = names+".", "["+raw+"]\n"
		case unstable.ArrayTable:
			table, header = names+".", "[["+raw+"]]\n"
		case unstable.KeyValue:
			settings = append(settings, setting{key: table + names, line: line, text: append([]byte(header), parser.Raw(expression.Raw)...)})
		}
	}
	return settings
}

// keyOf gives the key of an expression: as its names, as it stands in the file, and its line.
func keyOf(parser *unstable.Parser, expression *unstable.Node) (names, raw string, line int) {
	var name, written []string
	for parts := expression.Key(); parts.Next(); {
		part := parts.Node()
		name, written = append(name, string(part.Data)), append(written, string(parser.Raw(part.Raw)))
		line = parser.Shape(part.Raw).Start.Line
	}
	return strings.Join(name, "."), strings.Join(written, "."), line
}

// lineOf gives where a key stands, itself or the table that it is in; 0 where it does not.
func lineOf(settings []setting, key string) int {
	line := 0
	for _, one := range settings {
		if one.key == key {
			return one.line
		}
		if strings.HasPrefix(key, one.key+".") {
			line = one.line
		}
	}
	return line
}

// unfitting names all settings whose values do not fit their keys; nil where the trouble is another. The TOML reader
// stops at the first, and says nothing of the place where a type of ours has refused a bare value: so each is read alone.
func unfitting(path string, content []byte) error {
	var found []string
	for _, one := range settingsOf(content) {
		config := Default()
		err := toml.Unmarshal(one.text, &config)
		if err == nil {
			continue
		}
		text := fmt.Sprintf("line %d: %s: %s", one.line, one.key, reasonOf(err))
		if example := asIn(one.key); example != "" {
			text += "; write it " + example
		}
		found = append(found, text)
	}
	if found == nil {
		return nil
	}
	return &capf.Error{Code: capf.CodeInvalid, Message: path + ": " + strings.Join(found, ", ")}
}

// reasonOf says why a value does not fit without the names of types.
func reasonOf(err error) string {
	text := strings.TrimPrefix(err.Error(), "toml: ")
	if kind, found := strings.CutPrefix(text, "cannot decode TOML "); found {
		kind, _, _ = strings.Cut(kind, " ")
		return "a value of another kind is needed here, not TOML's " + kind
	}
	return text
}

// broken says where a file cannot be read as TOML, with an example where that is in the value of a key.
func broken(path string, content []byte, err *toml.DecodeError) error {
	row, column := err.Position()
	problem := &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("%s: line %d, column %d", path, row, column), Err: errors.New(reasonOf(err))}
	lines := bytes.SplitN(content, []byte("\n"), row+1)
	if row < 1 || row > len(lines) {
		return problem
	}
	name, _, isSetting := strings.Cut(string(lines[row-1]), "=")
	table := ""
	for _, line := range lines[:row-1] {
		if text := strings.TrimSpace(string(line)); strings.HasPrefix(text, "[") {
			table = strings.Trim(strings.TrimSpace(strings.SplitN(text, "#", 2)[0]), "[] ") + "."
		}
	}
	key := table + strings.TrimSpace(name)
	if example := asIn(key); isSetting && example != "" {
		problem.Message += ": " + key
		problem.Hint = "write it " + example
	}
	return problem
}
