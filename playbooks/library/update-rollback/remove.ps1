# Removes updates as SYSTEM: by the names of their packages, through DISM's own functions; or stand-alone
# ones by their numbers, through wusa. Does not restart the PC. Run twice, also after a lost session,
# it waits for the removal that runs already; what is gone already is no error.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: remove.takes.json, remove.gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include restart-safety.ps1
#include updates.ps1
#include system-task.ps1

# Each line of the answer: what, and its code.
$RemovePackages = {
    param([string]$Key)
    $ProgressPreference = 'SilentlyContinue'
    $store = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key, $true)
    $lines = @()
    foreach ($name in @($store.GetValue('Input'))) {
        $code = 0L
        try {
            $image = Remove-WindowsPackage -Online -PackageName $name -NoRestart -ErrorAction Stop
            if ($image.RestartNeeded) { $code = 3010L }
        } catch {
            $error0 = $_.Exception
            while ($null -ne $error0.InnerException) { $error0 = $error0.InnerException }
            $code = [long]$error0.HResult
        }
        $lines += $name + ' ' + $code
        # What one is refused for, the next is too.
        if ($code -ne 0 -and $code -ne 3010) { break }
    }
    $store.SetValue('Output', [string[]]$lines, [Microsoft.Win32.RegistryValueKind]::MultiString)
    $store.SetValue('Ended', 1)
}
$RemoveStandalone = {
    param([string]$Key)
    $store = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key, $true)
    $lines = @()
    foreach ($name in @($store.GetValue('Input'))) {
        $start = New-Object System.Diagnostics.ProcessStartInfo
        $start.FileName = Join-Path $env:SystemRoot 'System32\wusa.exe'
        $start.Arguments = '/uninstall /kb:' + $name.Substring(2) + ' /quiet /norestart'
        $start.UseShellExecute = $false
        $code = 1460L
        $process = [System.Diagnostics.Process]::Start($start)
        if ($process.WaitForExit(3000000)) { $code = [long]$process.ExitCode }
        $lines += $name + ' ' + $code
        if ($code -ne 0 -and $code -ne 3010 -and $code -ne 2359303) { break }
    }
    $store.SetValue('Output', [string[]]$lines, [Microsoft.Win32.RegistryValueKind]::MultiString)
    $store.SetValue('Ended', 1)
}

$work = $RemovePackages
$given = New-Object System.Collections.ArrayList
foreach ($item in @($Params.items)) {
    # ERROR_INVALID_NAME
    if ([string]$item -notmatch '^[A-Za-z0-9_.~-]+\z') { throw (New-Object System.ComponentModel.Win32Exception 123) }
    if (-not $given.Contains([string]$item)) { [void]$given.Add([string]$item) }
}
$name = 'fleetmend-update-removal'
if ($Params.wusa -eq $true) {
    $work = $RemoveStandalone
    $name = 'fleetmend-update-removal-wusa'
}

$answer = Invoke-Probe 'task' { Invoke-SystemTask $name $work $given.ToArray() 3600000 }
$items = New-Object System.Collections.ArrayList
$code = $null
$waited = $null
if ($null -ne $answer) {
    $waited = $answer.waited
    $code = 0L
    foreach ($line in @($answer.lines)) {
        $words = ([string]$line).Split(' ')
        $one = Get-PlainCode ([long]$words[1])
        # Not there any more: WU_S_... of wusa, CBS_E_NOT_APPLICABLE, ERROR_NOT_FOUND.
        if (@(2359303, -2146498530, 1168) -contains $one) { $one = 0 }
        if (@(2359301, 3011) -contains $one) { $one = 3010 }
        [void]$items.Add([PSCustomObject][ordered]@{ name = $words[0]; code = $one })
        if ($one -ne 0 -and ($code -eq 0 -or $one -ne 3010)) { $code = $one }
    }
} else {
    # What the task scheduler said.
    $failed = @($ProbeErrors)[-1]
    $code = $failed.code
}
$shown = Format-Code $code

[PSCustomObject][ordered]@{
    code = $code
    code_shown = $shown
    items = $items.ToArray()
    through_task = $null -ne $answer
    waited = $waited
    probe_errors = $ProbeErrors.ToArray()
}
