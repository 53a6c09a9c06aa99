package migrate

import (
	"context"
	"fmt"
	"strings"

	"capf/legacy/draft"
	"capf/legacy/source"
	"capf/legacy/text"
	"capf/runtime/capf"
)

// DraftDialect writes a dialect to begin with for one file of a source: the one at the path given, below the source and
// in any case; else the only one with phone records, or, without any, the only configuration. The encoding may be
// empty: to be found.
func DraftDialect(ctx context.Context, spec source.Spec, path, encoding string) (drafted string, err error) {
	var named text.Encoding
	if encoding != "" {
		known := false
		if named, known = text.ParseEncoding(encoding); !known {
			return "", &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("encoding %q is not known", encoding),
				Hint: fmt.Sprintf("one of %v", text.Encodings)}
		}
	}
	opened, err := source.Open(spec)
	if err != nil {
		return "", unavailable(err)
	}
	defer func() {
		if problem := opened.Close(); err == nil && problem != nil {
			err = unavailable(problem)
		}
	}()
	file, err := toDraft(opened, path)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", err
	}
	if file.Kind == source.Configuration {
		drafted, err = draft.Configuration(file.Input(), named)
	} else {
		drafted, err = draft.Phones(file.Input(), named)
	}
	if err != nil {
		return "", unavailable(err)
	}
	return drafted, nil
}

// toDraft chooses the file.
func toDraft(opened *source.Source, path string) (source.File, error) {
	var paths []string
	for _, kind := range []source.Kind{source.PhoneRecords, source.Configuration} {
		files := opened.Of(kind)
		for _, file := range files {
			if path != "" && strings.EqualFold(file.Path, path) {
				return file, nil
			}
			paths = append(paths, file.Path)
		}
		if path == "" && len(files) == 1 {
			return files[0], nil
		}
		if path == "" && len(files) > 1 {
			break
		}
	}
	reason := fmt.Sprintf("source %s: a dialect describes CAPF.phone or CAPF.cfg, and it has neither", opened.Name)
	hint := "other files are read by what they are, without a dialect"
	if paths != nil {
		reason = fmt.Sprintf("source %s: which file is the dialect for?", opened.Name)
		hint = "name it with --file, one of " + strings.Join(paths, ", ")
	}
	return source.File{}, &capf.Error{Code: capf.CodeInvalid, Message: reason, Hint: hint}
}
