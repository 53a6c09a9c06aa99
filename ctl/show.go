package ctl

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// Show prints a list as a CallManager's `show ctl` does: byte position, tag name, length and value of each
// element, the header first, then record by record, then whether the signature verifies. A list that
// cannot be decoded is an error and nothing is printed; one that does not verify is printed and said to be
// so (see Describe for a program's use).
func Show(w io.Writer, raw []byte) error {
	description, err := Describe(raw)
	if err != nil {
		return err
	}
	return description.Print(w)
}

// Print writes the description as text.
func (d *Description) Print(w io.Writer) error {
	out := bufio.NewWriter(w) // keeps the first error for Flush
	kind := "CTL"
	if d.FileName == ITLFileName {
		kind = "ITL"
	}
	fmt.Fprintf(out, kind+" file %s, %d bytes, %s\nSHA-256 %s\n\n", d.FileName, d.Size, d.Timestamp.Format(time.RFC3339), d.SHA256)
	fmt.Fprintf(out, "Version:       %s\nHeader length: %d (bytes)\n\n", d.Version, d.HeaderLength)
	printElements(out, d.Header)
	for _, record := range d.Records {
		fmt.Fprintf(out, "\n%s Record #:%d\n----\n", kind, record.Number)
		printElements(out, record.Elements)
		if record.SignedList {
			fmt.Fprintln(out, "This token signed the list.")
		}
		switch record.Known {
		case "":
		case "none":
			fmt.Fprintf(out, "No certificate that is known here has this hash (%s).\n", record.Hash)
		default:
			fmt.Fprintf(out, "The hash (%s) is that of %s.\n", record.Hash, record.Known)
		}
	}
	fmt.Fprintln(out)
	if d.Signature.Verified {
		fmt.Fprintf(out, "The signature verifies: %s, RSA %d bits, by %s serial %s.\n",
			d.Signature.Digest, d.Signature.KeySize, d.Signature.Signer, d.Signature.Serial)
	} else {
		fmt.Fprintf(out, "The list does NOT verify: %s\n", d.Signature.Error)
	}
	return out.Flush()
}

// The columns of an element; long values go on below their column, 16 bytes of hex a line.
const (
	elementColumns = "%-8v %-22s %-7v %s"
	valueIndent    = "                                        "
	hexLine        = 16 * 3
)

func printElements(out *bufio.Writer, elements []ElementDescription) {
	printRow(out, "BYTEPOS", "TAG", "LENGTH", "VALUE")
	printRow(out, "-------", "---", "------", "-----")
	for _, element := range elements {
		length := ""
		if element.Length != nil {
			length = fmt.Sprint(*element.Length)
		}
		value := element.Value
		if !isColonHex(value) {
			printRow(out, element.Position, element.Name, length, value)
			continue
		}
		printRow(out, element.Position, element.Name, length, value[:min(hexLine, len(value))])
		for at := hexLine; at < len(value); at += hexLine {
			out.WriteString(valueIndent)
			out.WriteString(value[at:min(at+hexLine, len(value))])
			out.WriteByte('\n')
		}
	}
}

func printRow(out *bufio.Writer, columns ...any) {
	fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf(elementColumns, columns...), " "))
}

// isColonHex tells the values that may be broken into lines from texts.
func isColonHex(value string) bool {
	if len(value) <= hexLine {
		return false
	}
	for i := range len(value) {
		digit := value[i] >= '0' && value[i] <= '9' || value[i] >= 'A' && value[i] <= 'F'
		if colon := i%3 == 2; colon != (value[i] == ':') || !colon && !digit {
			return false
		}
	}
	return true
}
