# Probes that are bounded in time and fail with a number: the same in every script.

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$ProbeErrors = New-Object System.Collections.ArrayList

# Lists an exception and those within it, from the outside in.
function Get-ExceptionChain($ErrorRecord) {
    $exception = $ErrorRecord.Exception
    for ($depth = 0; $null -ne $exception -and $depth -lt 16; $depth++) {
        $exception
        $next = $exception.InnerException
        # What -ErrorAction Stop ended keeps its cause in the record only.
        if ($null -eq $next -and $exception -is [System.Management.Automation.ActionPreferenceStopException]) {
            $next = $exception.ErrorRecord.Exception
        }
        $exception = $next
    }
}

# Returns the Win32 code of an error, else its HRESULT as a signed number, else null: never text.
function Get-ErrorCode($ErrorRecord) {
    $found = $null
    foreach ($exception in @(Get-ExceptionChain $ErrorRecord)) {
        # Socket errors are of this type too.
        if ($exception -is [System.ComponentModel.Win32Exception]) {
            return [long]$exception.NativeErrorCode
        }
        $hresult = $exception.HResult
        if ($null -ne $hresult -and $hresult -ne 0) {
            # 0x8007xxxx carries a Win32 code.
            if (($hresult -band -65536) -eq -2147024896) { return [long]($hresult -band 65535) }
            $found = [long]$hresult
        }
    }
    return $found
}

# Returns the FullyQualifiedErrorId of the innermost error that has one, else its type. What is
# thrown by hand has its text for an id, which is in the language of Windows; an id has no blanks.
function Get-ErrorId($ErrorRecord) {
    $found = $ErrorRecord.Exception.GetType().FullName
    $ids = New-Object System.Collections.ArrayList
    [void]$ids.Add([string]$ErrorRecord.FullyQualifiedErrorId)
    foreach ($exception in @(Get-ExceptionChain $ErrorRecord)) {
        if ($exception -is [System.Management.Automation.IContainsErrorRecord] -and $null -ne $exception.ErrorRecord) {
            [void]$ids.Add([string]$exception.ErrorRecord.FullyQualifiedErrorId)
        }
    }
    foreach ($id in $ids) {
        if ($id -match '^[A-Za-z0-9_.,]+\z') { $found = $id }
    }
    return $found
}

# Runs a probe; if it fails, notes its number in $ProbeErrors and yields nothing. The block sees the
# variables of this function before those of the script, so their names are none that a script has.
function Invoke-Probe([string]$ProbeName, [scriptblock]$ProbeBody) {
    try {
        & $ProbeBody
    } catch {
        $failure = [PSCustomObject][ordered]@{
            probe = $ProbeName
            code = Get-ErrorCode $_
            error_id = Get-ErrorId $_
        }
        [void]$ProbeErrors.Add($failure)
    }
}

# Runs one cmdlet in its own runspace and gives it up after a while; its parameters are data.
function Invoke-BoundedCmdlet([string]$Cmdlet, [hashtable]$Arguments, [int]$Milliseconds) {
    $shell = [System.Management.Automation.PowerShell]::Create()
    $gaveUp = $false
    try {
        [void]$shell.AddCommand($Cmdlet)
        foreach ($key in $Arguments.Keys) { [void]$shell.AddParameter($key, $Arguments[$key]) }
        [void]$shell.AddParameter('ErrorAction', 'Stop')
        $running = $shell.BeginInvoke()
        if (-not $running.AsyncWaitHandle.WaitOne($Milliseconds)) {
            $gaveUp = $true
            [void]$shell.BeginStop($null, $null)
            # ERROR_TIMEOUT
            throw (New-Object System.ComponentModel.Win32Exception 1460)
        }
        $shell.EndInvoke($running)
    } finally {
        # Disposing waits for the cmdlet, so one that hangs is left to the end of the process.
        if (-not $gaveUp) { $shell.Dispose() }
    }
}

# Returns the id of the newest record of the System log.
function Get-LastRecordId {
    $newest = @(Invoke-BoundedCmdlet 'Get-WinEvent' @{ LogName = 'System'; MaxEvents = 1 } 10000)
    return [long]$newest[0].RecordId
}
