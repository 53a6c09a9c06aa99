package ctl

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// Print writes the difference in words, a line for each change. The names stand for the lists.
func (d *Difference) Print(w io.Writer, from, to string) error {
	out := bufio.NewWriter(w) // keeps the first error for Flush
	if d.Equal {
		fmt.Fprintf(out, "%s and %s are equal.\n", from, to)
		return out.Flush()
	}
	fmt.Fprintf(out, "From %s to %s:\n", from, to)
	for _, change := range d.Header {
		fmt.Fprintf(out, "header: %s\n", change)
	}
	for _, change := range d.Records {
		fmt.Fprintln(out, change)
	}
	if d.Reordered {
		fmt.Fprintln(out, "what both have stands in another order")
	}
	return out.Flush()
}

// Lost gives what the second list has no more, a line each: records, and elements of unknown tags. A list is made anew
// from what is known of the cluster, so that what another maker put into the one before ends with it.
func (d *Difference) Lost() []string {
	var lost []string
	gone := func(of string, values []ValueChange) {
		for _, value := range values {
			if value.To == "" && strings.HasPrefix(value.What, unknownTag) {
				lost = append(lost, of+": "+value.String())
			}
		}
	}
	gone("header", d.Header)
	for _, change := range d.Records {
		if change.Kind == Removed {
			lost = append(lost, change.who()+": "+change.From.String())
		}
		gone(change.who(), change.Values)
	}
	return lost
}

// String gives the change in words.
func (c ValueChange) String() string {
	switch {
	case c.From == c.To: // longer than what is shown of it
		return fmt.Sprintf("%s is another one", c.What)
	case c.From == "":
		return fmt.Sprintf("%s %s is new", c.What, c.To)
	case c.To == "":
		return fmt.Sprintf("%s %s is gone", c.What, c.From)
	}
	return fmt.Sprintf("%s from %s to %s", c.What, c.From, c.To)
}

// String gives the change in words: which server in which role, and what became of it.
func (c RecordChange) String() string {
	words := []string{fmt.Sprintf("%s %s", c.who(), c.Kind)}
	switch c.Kind {
	case Added:
		words = append(words, c.To.String())
	case Removed:
		words = append(words, c.From.String())
	case Replaced:
		words = append(words, "from "+c.From.String(), "to "+c.To.String())
	case Changed:
		words = append(words, c.To.String())
	}
	for _, value := range c.Values {
		words = append(words, value.String())
	}
	return words[0] + ": " + strings.Join(words[1:], "; ")
}

// who names the record: a token, or a role and where its server is.
func (c RecordChange) who() string {
	if c.Role == RoleSAST.String() {
		return "token"
	}
	who := c.Role
	if c.DNSName != "" {
		who += " " + c.DNSName
	}
	if c.Address != "" && c.Address != c.DNSName {
		who += " (" + c.Address + ")"
	}
	return who
}

// String names the certificate, its key and its validity.
func (i *Identity) String() string {
	text := fmt.Sprintf("%s serial %s", i.Subject, i.Serial)
	if i.Hash != "" {
		return fmt.Sprintf("%s, the hash %s", text, i.Hash)
	}
	if i.NotAfter == nil {
		return text + ", not readable"
	}
	return fmt.Sprintf("%s, %s, valid %s to %s", text, i.Key, i.NotBefore.Format(time.RFC3339), i.NotAfter.Format(time.RFC3339))
}
