package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"path/filepath"
	"strings"
)

// serveGit is the "smart" http of Git's own backend.
func serveGit(dir string) error {
	// Not on PATH: among the programs that git itself runs.
	core, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return fmt.Errorf("git: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	endWithInput()
	fmt.Printf("http://%s\n", listener.Addr())
	return http.Serve(listener, &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
	})
}
