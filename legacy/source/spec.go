package source

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the length of a machine's name in characters.
const maxName = 64

// Spec is a SOURCE of the command line (cli.md): a folder, or a file that stands for one, and the name of the machine
// that it was copied from.
type Spec struct {
	Name, Folder string
}

// Parse reads NAME=FOLDER, or FOLDER, which takes the name of the folder (of an archive, without its ending). What stands before the first `=` is a name
// unless it has a slash in it, so a folder `a=b` is written `./a=b`. A name has 1 to 64 printable characters other
// than slashes and `=`, begins with a letter or a digit and is not `latest` (which `--prefer` has another use for).
func Parse(argument string) (Spec, error) {
	name, folder, named := strings.Cut(argument, "=")
	if !named || strings.ContainsAny(name, `/\`) {
		folder, named = argument, false
	}
	if folder == "" {
		return Spec{}, fmt.Errorf("source %q: no folder: write FOLDER or NAME=FOLDER", argument)
	}
	if !named {
		whole, err := filepath.Abs(folder)
		if err != nil {
			return Spec{}, fmt.Errorf("source %q: %w", argument, err)
		}
		name = stem(filepath.Base(whole))
	}
	if problem := checkName(name); problem != "" {
		return Spec{}, fmt.Errorf("source %q: name %q %s: write NAME=FOLDER", argument, name, problem)
	}
	return Spec{Name: name, Folder: folder}, nil
}

// ParseAll reads the sources of one run and sees that their names differ, in whatever case.
func ParseAll(arguments []string) ([]Spec, error) {
	var out []Spec
	seen := map[string]string{}
	for _, argument := range arguments {
		spec, err := Parse(argument)
		if err != nil {
			return nil, err
		}
		key := strings.ToLower(spec.Name)
		if other, ok := seen[key]; ok {
			return nil, fmt.Errorf("sources %q and %q are both named %q: name them apart with NAME=FOLDER",
				other, argument, spec.Name)
		}
		seen[key] = argument
		out = append(out, spec)
	}
	return out, nil
}

func checkName(name string) string {
	first, _ := utf8.DecodeRuneInString(name)
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxName:
		return fmt.Sprintf("does not have 1 to %d characters", maxName)
	case !utf8.ValidString(name) || !unicode.IsLetter(first) && !unicode.IsDigit(first):
		return "does not begin with a letter or digit"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(`=/\`, r) }):
		return "has a character that a name cannot have"
	case strings.EqualFold(name, "latest"):
		return "has a meaning of its own in --prefer"
	default:
		return ""
	}
}
