package backup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"

	"capf/runtime/capf"
)

// The first bytes of a file that age has encrypted, and of one that was also made text.
const (
	ageBegin   = "age-encryption.org/"
	armorBegin = "-----BEGIN AGE ENCRYPTED FILE-----"
)

// ParseRecipients reads public keys of age, `age1…`. Its errors never show what it was given: it may have been
// the private key.
func ParseRecipients(texts []string) ([]age.Recipient, error) {
	var all []age.Recipient
	for i, text := range texts {
		found, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil || len(found) != 1 {
			return nil, &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("recipient %d is no public key of age", i+1),
				Hint: "give what age-keygen calls the public key: it begins with age1"}
		}
		all = append(all, found...)
	}
	return all, nil
}

// ReadIdentities reads private keys of age from a file, a line each, as age-keygen writes them. Its errors show
// nothing of what is in the file.
func ReadIdentities(path string) ([]age.Identity, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "identity file", Err: err, Hint: "give the file that age-keygen wrote"}
	}
	defer file.Close()
	identities, err := age.ParseIdentities(io.LimitReader(file, maxSmallFile))
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: path + " holds no private keys of age that can be read",
			Hint: "give the file that age-keygen wrote, with lines that begin with AGE-SECRET-KEY-; one under a passphrase must be decrypted first"}
	}
	return identities, nil
}

// encrypted has something written through age, or as it is where there is no recipient.
func encrypted(out io.Writer, recipients []age.Recipient, write func(io.Writer) error) error {
	buffered := bufio.NewWriterSize(out, 1<<16)
	plain, finish := io.Writer(buffered), func() error { return nil }
	if len(recipients) > 0 {
		sealed, err := age.Encrypt(buffered, recipients...)
		if err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		plain, finish = sealed, sealed.Close
	}
	if err := write(plain); err != nil {
		return err
	}
	return errors.Join(finish(), buffered.Flush())
}

// decrypted gives what is to be read as a backup, and whether it was encrypted.
func decrypted(in io.Reader, identities []age.Identity) (plain io.Reader, was bool, err error) {
	buffered := bufio.NewReaderSize(in, 1<<16)
	first, err := buffered.Peek(len(armorBegin))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, readError(err)
	}
	switch {
	case strings.HasPrefix(string(first), armorBegin):
		return nil, true, &capf.Error{Code: capf.CodeInvalid, Message: "the backup was encrypted by age as text", Hint: "decrypt it with `age --decrypt` first"}
	case !strings.HasPrefix(string(first), ageBegin):
		return buffered, false, nil
	case len(identities) == 0:
		return nil, true, &capf.Error{Code: capf.CodeInvalid, Message: "the backup is encrypted", Hint: "give the file with the private key by --identity"}
	}
	plain, err = age.Decrypt(buffered, identities...)
	if wrong := new(age.NoIdentityMatchError); errors.As(err, &wrong) {
		return nil, true, &capf.Error{Code: capf.CodeRefused, Message: "the backup is encrypted for other keys than those of the identity file",
			Hint: "give the private key of a recipient that it was made for"}
	}
	if err != nil {
		return nil, true, &capf.Error{Code: capf.CodeUnavailable, Message: "the backup is damaged: its encryption", Err: err, Hint: "take another copy of it"}
	}
	return plain, true, nil
}

func readError(err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: "read the backup", Err: err, Hint: "see that the file is there and yours"}
}
