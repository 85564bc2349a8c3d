package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A cache keeps the parts of Go releases that are read, one folder a release:
//
//	go1.26.6/src/runtime, go1.26.6/src/internal, go1.26.6/src/unsafe
type cache struct {
	folder string
	proxy  string
}

// Changes with `wanted`: caches of other parts are not used.
const sourceParts = "2"

// The folder is below ${XDG_CACHE_HOME:-~/.cache}/stillframe/go-source; the proxy that of `go env GOPROXY`.
func openCache() (*cache, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	out, err := exec.Command("go", "env", "GOPROXY").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOPROXY: %w", err)
	}
	for _, proxy := range strings.FieldsFunc(strings.TrimSpace(string(out)), func(r rune) bool { return r == ',' || r == '|' }) {
		if strings.HasPrefix(proxy, "http") {
			return &cache{filepath.Join(base, "stillframe", "go-source", sourceParts), strings.TrimSuffix(proxy, "/")}, nil
		}
	}
	return nil, errors.New("GOPROXY names no module proxy: set it, for instance to https://proxy.golang.org")
}

// releases are all of the supported minor versions that the proxy has. Its list of versions may lack some, so each number
// is asked for, up to the first that does not exist.
func (c *cache) releases(oldest, newest int) ([]release, error) {
	var found []release
	for minor := oldest; minor <= newest; minor++ {
		for patch := 0; ; patch++ {
			r := release{minor, patch}
			exists, err := c.exists(r)
			if err != nil {
				return nil, err
			}
			if !exists {
				break
			}
			found = append(found, r)
		}
		if len(found) == 0 || found[len(found)-1].minor != minor {
			return nil, fmt.Errorf("%s has no toolchain of Go 1.%d", c.proxy, minor)
		}
	}
	return found, nil
}

func (c *cache) exists(r release) (bool, error) {
	response, err := http.Head(c.url(r))
	if err != nil {
		return false, err
	}
	response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return true, nil
	// Mirrors refuse what the original does not have.
	case http.StatusNotFound, http.StatusGone, http.StatusForbidden:
		return false, nil
	}
	return false, fmt.Errorf("%s: %s", c.url(r), response.Status)
}

func (c *cache) url(r release) string {
	return fmt.Sprintf("%s/golang.org/toolchain/@v/%s.zip", c.proxy, r.version())
}

// source is the src folder of a release, fetched if it is not there; whole or not at all.
func (c *cache) source(r release) (string, error) {
	folder := filepath.Join(c.folder, r.String())
	if _, err := os.Stat(folder); err == nil {
		return filepath.Join(folder, "src"), nil
	}
	if err := os.MkdirAll(c.folder, 0o755); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(c.folder, r.String()+".*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	if err := c.fetch(r, unfinished); err != nil {
		return "", fmt.Errorf("source of %v: %w", r, err)
	}
	if err := os.Rename(unfinished, folder); err != nil {
		return "", err
	}
	return filepath.Join(folder, "src"), nil
}

// wanted are the files of a toolchain that are kept.
func wanted(name string) bool {
	if !strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".s") && !strings.HasSuffix(name, ".h") {
		return false
	}
	for _, folder := range []string{"src/runtime/", "src/internal/", "src/unsafe/", "src/cmd/internal/objabi/", "src/debug/buildinfo/"} {
		if strings.HasPrefix(name, folder) {
			return !strings.Contains(name, "/testdata/") && !strings.HasSuffix(name, "_test.go")
		}
	}
	return false
}

// fetch reads a toolchain's zip by ranges: of its 70 MB it needs 5.
func (c *cache) fetch(r release, folder string) error {
	remote, err := openRemote(c.url(r))
	if err != nil {
		return err
	}
	archive, err := zip.NewReader(remote, remote.size)
	if err != nil {
		return err
	}
	for _, file := range archive.File {
		name := strings.TrimPrefix(file.Name, "golang.org/toolchain@"+r.version()+"/")
		if !wanted(name) || !filepath.IsLocal(name) {
			continue
		}
		if err := extract(file, filepath.Join(folder, name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func extract(file *zip.File, path string) error {
	const fileBytesMax = 32 << 20
	content, err := file.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	bytes, err := io.ReadAll(io.LimitReader(content, fileBytesMax))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, bytes, 0o644)
}

// A remote file is read by HTTP range requests (RFC 9110, section 14), in blocks that are kept.
type remote struct {
	url    string
	size   int64
	blocks map[int64][]byte
}

const blockBytes = 1 << 20

func openRemote(url string) (*remote, error) {
	response, err := http.Head(url)
	if err != nil {
		return nil, err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || response.ContentLength <= 0 {
		return nil, fmt.Errorf("%s: %s, length %d", url, response.Status, response.ContentLength)
	}
	return &remote{url, response.ContentLength, map[int64][]byte{}}, nil
}

func (f *remote) ReadAt(buffer []byte, offset int64) (int, error) {
	read := 0
	for read < len(buffer) {
		at := offset + int64(read)
		if at >= f.size {
			return read, io.EOF
		}
		block, err := f.block(at / blockBytes)
		if err != nil {
			return read, err
		}
		read += copy(buffer[read:], block[at%blockBytes:])
	}
	return read, nil
}

func (f *remote) block(number int64) ([]byte, error) {
	if block, ok := f.blocks[number]; ok {
		return block, nil
	}
	request, err := http.NewRequest(http.MethodGet, f.url, nil)
	if err != nil {
		return nil, err
	}
	first, last := number*blockBytes, min((number+1)*blockBytes, f.size)-1
	request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusPartialContent {
		return nil, fmt.Errorf("%s: a range was asked for, the answer is %s", f.url, response.Status)
	}
	block := make([]byte, last-first+1)
	if _, err := io.ReadFull(response.Body, block); err != nil {
		return nil, err
	}
	f.blocks[number] = block
	return block, nil
}
