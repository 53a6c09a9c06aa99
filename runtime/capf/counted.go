package capf

import "fmt"

// Counted is a number of things for a person: "1 conflict", "3 conflicts". Their name is given for one of them, and
// takes an s for any other number.
func Counted(count int, one string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", count, one)
}
