# The packages without which the shell of Windows 11 shows nothing, by Microsoft's KB5072911, and
# where their manifests stand.
$ShellPackages = @(
    'MicrosoftWindows.Client.CBS_cw5n1h2txyewy'
    'Microsoft.UI.Xaml.CBS_8wekyb3d8bbwe'
    'MicrosoftWindows.Client.Core_cw5n1h2txyewy'
)

# Returns the path of a package's manifest; older Windows do not have all of them.
function Get-ShellManifest([string]$Family) {
    return [System.IO.Path]::Combine($env:SystemRoot, 'SystemApps', $Family, 'appxmanifest.xml')
}
