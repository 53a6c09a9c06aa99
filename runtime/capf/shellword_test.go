package capf

import (
	"os/exec"
	"testing"
)

// TestShellWord has a shell read the words.
func TestShellWord(t *testing.T) {
	for _, word := range []string{"", "pub=/copies/pub", "a b", "it's", `$(id)`, "`id`", "a\\b", "*", "~", "-x", "a\nb", "é", `"`, "#x", "!!", "a;b"} {
		got, err := exec.Command("sh", "-c", "printf %s "+ShellWord(word)).Output()
		if err != nil || string(got) != word {
			t.Errorf("%q is %q to a shell, %v", word, got, err)
		}
	}
}
