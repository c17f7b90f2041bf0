# Runs a program of Windows whose exit code alone is of use.

# Returns a program's path in the system folder, also from a 32-bit process; null where it is not.
function Get-SystemTool([string]$Name) {
    $folder = 'System32'
    if ([Environment]::Is64BitOperatingSystem -and -not [Environment]::Is64BitProcess) {
        $folder = 'Sysnative'
    }
    $path = Join-Path (Join-Path $env:SystemRoot $folder) $Name
    if (Test-Path -LiteralPath $path) { return $path }
    return $null
}

# Makes ready to run a program unseen, with an input and an output of its own: ours carry the steps.
function New-ToolStart([string]$Name) {
    $path = Get-SystemTool $Name
    # ERROR_FILE_NOT_FOUND
    if ($null -eq $path) { throw (New-Object System.ComponentModel.Win32Exception 2) }
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = $path
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    return $start
}

# Runs it to its end, within a time, and returns its exit code. What it prints fits the pipe's
# buffer and is not read.
function Invoke-Tool($Start, [int]$Milliseconds) {
    $process = [System.Diagnostics.Process]::Start($Start)
    try {
        $process.StandardInput.Close()
        if (-not $process.WaitForExit($Milliseconds)) {
            $process.Kill()
            # ERROR_TIMEOUT
            throw (New-Object System.ComponentModel.Win32Exception 1460)
        }
        return [long]$process.ExitCode
    } finally {
        $process.Dispose()
    }
}
